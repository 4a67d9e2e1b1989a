"""The one importer of the native engine."""
