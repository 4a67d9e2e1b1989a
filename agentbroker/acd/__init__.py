"""Automatic call distribution: agents, queues, and one engine over all TAS nodes. Sans-I/O."""
