"""The INVITE usage of a dialog: what belongs to neither transaction nor dialog (2xx and ACK, CANCEL races, glare)."""
