"""The four transaction machines of RFC 3261 §17 with the Accepted states of RFC 6026, one table each."""
