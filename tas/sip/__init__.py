"""SIP (RFC 3261) without I/O: messages, transactions and dialogs; sockets and the clock are in `tas.sip.aio`."""
