"""The node's HTTP API: what tasctl and the agent broker's console read."""
