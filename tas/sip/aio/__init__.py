"""SIP's doors: sockets, the loop and the clock."""
