"""A 2xx we sent, repeated until its ACK (RFC 3261 §13.3.1.4): by the user, on every transport."""

from __future__ import annotations

from typing import Protocol

from tas.sip.core import Core
from tas.sip.timers import Timer
from tas.sip.transaction.server import ServerTransaction

RETRANSMIT_2XX = "2xx"


class AnswerOwner(Protocol):
    """Who gave the answer."""

    def on_unacknowledged(self, now: float) -> None:
        """No ACK came within 64*T1."""


class Answered:
    """Repeats one 2xx after T1, doubling to T2, for 64*T1."""

    __slots__ = ("_call_id", "_core", "_data", "_elapsed", "_flow", "_interval", "_owner", "_timer", "cseq")

    def __init__(self, core: Core, owner: AnswerOwner, transaction: ServerTransaction, now: float) -> None:
        self._core = core
        self._owner: AnswerOwner | None = owner
        self._flow = transaction.flow
        self._data = transaction.data
        self._call_id = transaction.head.call_id
        self.cseq = transaction.head.cseq
        self._interval = core.t1
        self._elapsed = 0.0
        self._timer: Timer | None = core.timers.start(core.t1, RETRANSMIT_2XX, self, now)

    def on_timer(self, kind: str, now: float) -> None:
        """TimerOwner."""
        core = self._core
        self._elapsed += self._interval
        left = core.t1x64 - self._elapsed
        if left <= 0:
            owner = self._owner
            self.stop()
            if owner is not None:
                owner.on_unacknowledged(now)
            return
        core.send(self._flow, self._data, self._call_id, now)
        self._interval = min(2 * self._interval, core.t2, left)
        self._timer = core.timers.start(self._interval, RETRANSMIT_2XX, self, now)

    def stop(self) -> None:
        """The ACK arrived, or nobody waits for it any more."""
        self._core.timers.cancel(self._timer)
        self._timer = None
        self._owner = None
