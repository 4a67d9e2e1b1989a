"""RTP ports: even ones of a range, taken at random, resting after use so that late packets hit nobody new."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

COOL_DOWN_S: Final = 5.0
"""Rest of a port after use; a peer that missed the end of a call stops sending well within it."""


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
        """A free port; None when all are taken or resting."""
        while self._resting and self._resting[0][0] <= now:
            self._free.append(self._resting.popleft()[1])
        if not self._free:
            return None
        index = self._random(len(self._free))
        port = self._free[index]
        self._free[index] = self._free[-1]
        self._free.pop()
        return port

    def give_back(self, port: int, now: float) -> None:
        """The port rests from now."""
        self._resting.append((now + COOL_DOWN_S, port))
