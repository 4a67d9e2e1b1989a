"""The broker's HTTP API and the console's files."""
