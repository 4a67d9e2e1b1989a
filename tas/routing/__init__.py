"""Where a call goes: numbers to destinations, sources to trunks."""
