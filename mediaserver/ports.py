"""RTP ports: even ones of a range, taken at random, resting after use so that late packets hit nobody new."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

COOL_DOWN_S: Final = 5.0
"""Rest of a port after use; a peer that missed the end of a call stops sending well within it."""
MIN_COOL_DOWN_S: Final = 1.0
"""Rest of a port when no other is free: at 200 calls/s a range of 1,000 ports would run dry before 5 s are over."""


class PortPool:
    """Sans-I/O: hands out port numbers; who cannot bind one gives it back at once."""

    __slots__ = ("_free", "_random", "_resting")

    def __init__(self, low: int, high: int, random_below: Callable[[int], int]) -> None:
        self._free = list(range(low + low % 2, high + 1, 2))
        self._resting: deque[tuple[float, int]] = deque()
        self._random = random_below

    def __len__(self) -> int:
        return len(self._free)

    def take(self, now: float) -> int | None:
        """A free port, or the one that rests longest if that is MIN_COOL_DOWN_S; None when there is neither."""
        while self._resting and self._resting[0][0] + COOL_DOWN_S <= now:
            self._free.append(self._resting.popleft()[1])
        if not self._free:
            rested = bool(self._resting) and self._resting[0][0] + MIN_COOL_DOWN_S <= now
            return self._resting.popleft()[1] if rested else None
        index = self._random(len(self._free))
        port = self._free[index]
        self._free[index] = self._free[-1]
        self._free.pop()
        return port

    def give_back(self, port: int, now: float) -> None:
        """The port rests from now."""
        self._resting.append((now, port))
