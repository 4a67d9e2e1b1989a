"""Media servers as the TAS uses them: a link to each, a pool over all."""
