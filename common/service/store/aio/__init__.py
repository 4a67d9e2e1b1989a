"""Opening the store."""
