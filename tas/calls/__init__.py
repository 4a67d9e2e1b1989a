"""Calls: what happens between the leg that brought one and its Outcome."""
