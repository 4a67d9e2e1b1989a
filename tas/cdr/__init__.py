"""Call detail records: one row a call, batched, written once."""
