"""Named deadlines: setting one again moves it, and what was dropped or moved leaves nothing behind."""

from __future__ import annotations

import heapq
from typing import Final

SLACK: Final = 64
"""The heap may hold this many outdated entries beyond twice the deadlines that are set."""


class Deadlines:
    """A heap whose outdated entries are skipped, and swept when they are the larger part of it."""

    __slots__ = ("_due", "_heap")

    def __init__(self) -> None:
        self._due: dict[tuple[str, str], float] = {}
        self._heap: list[tuple[float, str, str]] = []

    def __len__(self) -> int:
        return len(self._due)

    @property
    def held(self) -> int:
        """Entries in memory, outdated ones included."""
        return len(self._heap)

    def set(self, kind: str, name: str, due: float) -> None:
        """Set or move a deadline."""
        self._due[kind, name] = due
        heapq.heappush(self._heap, (due, kind, name))
        if len(self._heap) > 2 * len(self._due) + SLACK:
            self._heap = [(when, *key) for key, when in self._due.items()]
            heapq.heapify(self._heap)

    def drop(self, kind: str, name: str) -> None:
        """The deadline became needless."""
        self._due.pop((kind, name), None)

    def next(self) -> float | None:
        """The earliest one."""
        while self._heap:
            due, kind, name = self._heap[0]
            if self._due.get((kind, name)) == due:
                return due
            heapq.heappop(self._heap)
        return None

    def take_due(self, now: float) -> tuple[str, str] | None:
        """(kind, name) of the earliest deadline that has come, which is then set no more."""
        due = self.next()
        if due is None or due > now:
            return None
        _, kind, name = heapq.heappop(self._heap)
        del self._due[kind, name]
        return kind, name
