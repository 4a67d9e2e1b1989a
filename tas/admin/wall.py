"""Unix time of moments on the loop's clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

STEP_S: Final = 1.0
"""A wall clock that is so much ahead has been set; by less, the loop's clock is only late."""


class WallClock:
    """Keeps the difference of the two clocks: uvloop's is read once a turn, so one taken for each message would put
    messages out of order."""

    def __init__(self, wall: Callable[[], float], clock: Callable[[], float]) -> None:
        self._wall = wall
        self._clock = clock
        self._difference = wall() - clock()

    def __call__(self, at: float) -> float:
        """Unix time of `at`."""
        difference = self._wall() - self._clock()
        if difference < self._difference or difference > self._difference + STEP_S:
            self._difference = difference
        return self._difference + at
