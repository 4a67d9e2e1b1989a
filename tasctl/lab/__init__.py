"""The lab supervisor: every process of OpenTAS on one machine."""
