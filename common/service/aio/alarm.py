"""One timer for a process's machines: set to their earliest deadline after each turn, moved only when it is earlier."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

TICK_S: Final = 0.001
"""uvloop rounds deadlines to its millisecond: one tick later, nothing fires too early only to be armed again."""


class Alarm:
    """Calls `callback(now)` at the deadline. One that became needless fires, finds nothing to do and is set anew."""

    __slots__ = ("_callback", "_due", "_handle", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[float], None]) -> None:
        self._loop = loop
        self._callback = callback
        self._handle: asyncio.TimerHandle | None = None
        self._due = 0.0

    def set(self, due: float | None) -> None:
        """Fire at `due` at the latest; None leaves what is set."""
        if due is None or (self._handle is not None and self._due <= due):
            return
        self.cancel()
        self._due = due
        self._handle = self._loop.call_at(due + TICK_S, self._fire)

    def cancel(self) -> None:
        """Fire no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire(self) -> None:
        self._handle = None
        self._callback(self._loop.time())
