"""Load on a lab of real processes: SIPp callers and agents, and a report."""
