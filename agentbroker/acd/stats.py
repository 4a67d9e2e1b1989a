"""Real-time statistics of a queue, with the service level as Asterisk defines it."""

from __future__ import annotations

import msgspec


class QueueView(msgspec.Struct, frozen=True):
    """A queue as the HTTP API and tasctl show it."""

    queue: str
    strategy: str
    waiting: int
    oldest_s: float
    agents: int
    ready: int
    talking: int
    answered: int
    abandoned: int
    average_wait_s: float
    servicelevel_s: float
    servicelevel_percent: float
    """Asterisk's ServicelevelPerf: answered within the level, of all answered; 0 before the first."""
    servicelevel2_percent: float
    """ServicelevelPerf2: answered or abandoned within the level, of all answered and abandoned; 0 before the first."""


class QueueStats:
    """Counters since this broker leads."""

    __slots__ = ("abandoned", "abandoned_in_time", "answered", "in_time", "level_s", "wait_s")

    def __init__(self, level_s: float) -> None:
        self.level_s = level_s
        self.answered = 0
        self.abandoned = 0
        self.in_time = 0
        self.abandoned_in_time = 0
        self.wait_s = 0.0

    def count_answered(self, waited_s: float) -> None:
        """A call reached an agent."""
        self.answered += 1
        self.wait_s += waited_s
        if waited_s <= self.level_s:
            self.in_time += 1

    def count_abandoned(self, waited_s: float) -> None:
        """A caller left before an agent answered."""
        self.abandoned += 1
        if waited_s <= self.level_s:
            self.abandoned_in_time += 1

    @property
    def average_wait_s(self) -> float:
        """Mean wait of answered calls, seconds."""
        return self.wait_s / self.answered if self.answered else 0.0

    @property
    def level_percent(self) -> float:
        """Asterisk's ServicelevelPerf."""
        return 100.0 * self.in_time / self.answered if self.answered else 0.0

    @property
    def level2_percent(self) -> float:
        """Asterisk's ServicelevelPerf2."""
        of = self.answered + self.abandoned
        return 100.0 * (self.in_time + self.abandoned_in_time) / of if of else 0.0
