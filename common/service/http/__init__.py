"""HTTP of every process: health, metrics and a JSON API behind bearer tokens."""
