"""The message bus: a Protocol, one implementation over MQTT and one in memory for the virtual clock."""
