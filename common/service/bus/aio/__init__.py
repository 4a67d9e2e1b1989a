"""The bus over MQTT 3.1.1, and the embedded broker of the lab."""
