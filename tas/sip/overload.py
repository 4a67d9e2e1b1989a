"""When to shed new work: the loop runs late, and stays late."""

from typing import Final

PROBE_S: Final = 0.05
"""How often the lateness of the loop is looked at."""
LATE_S: Final = 0.1
"""Lateness that counts: T1 is 500 ms, and retransmissions of what waits would double the load."""
LATE_PROBES: Final = 3
"""So many late probes in a row are overload. One stall of the machine is over when its probe runs, and a phone that is
turned away for it comes back only after half a minute."""


class Overload:
    """Judges the loop by its probes."""

    __slots__ = ("_late", "lag_s")

    def __init__(self) -> None:
        self._late = 0
        self.lag_s = 0.0
        """How late the last probe was."""

    def probe(self, lag_s: float) -> bool:
        """A probe ran so late; returns whether new work is to be shed until the next one."""
        self.lag_s = lag_s
        self._late = self._late + 1 if lag_s > LATE_S else 0
        return self._late >= LATE_PROBES
