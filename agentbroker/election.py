"""Leadership: one lease row in the store, taken and renewed by compare-and-set. Nobody compares two hosts' clocks.

STANDBY   watches the row; when (epoch, renewed) has not changed for TAKE_OVER_S of its own clock it takes the lease
          with epoch + 1.
LEADING   renews every RENEW_S; when it could not for STEP_DOWN_S it steps down, before anybody else may lead: the
          time counts from before the renewal was sent, so it is over earlier than any standby's, which counts from
          when it saw the renewal. check() comes before every act, for a process that was paused does not know it.
"""

from __future__ import annotations

from typing import Final

RENEW_S: Final = 0.5
TAKE_OVER_S: Final = 2.0
STEP_DOWN_S: Final = 1.5


class Row:
    """The lease as it stands in the store."""

    __slots__ = ("epoch", "holder", "renewed")

    def __init__(self, holder: str, epoch: int, renewed: int) -> None:
        self.holder = holder
        self.epoch = epoch
        self.renewed = renewed


class Election:
    """Sans-I/O: the door reads and writes the row and tells what it found."""

    def __init__(self, me: str) -> None:
        self.me = me
        self.epoch = 0
        """The epoch we lead with, 0 as standby."""
        self.leader = ""
        self._seen: tuple[int, int] | None = None
        self._changed_at = 0.0
        self._renewed_at = 0.0

    @property
    def leading(self) -> bool:
        """Whether we lead."""
        return self.epoch > 0

    def observe(self, row: Row | None, now: float) -> bool:
        """A standby read the row; returns whether to try to take the lease."""
        if row is None:
            return True
        self.leader = row.holder
        seen = (row.epoch, row.renewed)
        if seen != self._seen:
            self._seen, self._changed_at = seen, now
            return False
        return now - self._changed_at >= TAKE_OVER_S

    def took(self, epoch: int, asked_at: float) -> None:
        """Our compare-and-set, sent at `asked_at`, succeeded: we lead."""
        self.epoch, self.leader = epoch, self.me
        self._renewed_at = asked_at

    def renewed(self, done: bool, asked_at: float) -> None:
        """A renewal, sent at `asked_at`, was written, or the row was no longer ours."""
        if done:
            self._renewed_at = asked_at
        else:
            self.step_down()

    def check(self, now: float) -> None:
        """However the store behaves: a leader without a fresh lease leads no more."""
        if self.leading and now - self._renewed_at >= STEP_DOWN_S:
            self.step_down()

    def step_down(self) -> None:
        """Lead no more."""
        self.epoch = 0
        self.leader = ""
        self._seen = None
