"""INVITE server transaction (RFC 3261 §17.2.1, RFC 6026 §7.1).

It repeats provisional and rejecting responses by itself. A 2xx is repeated by the usage until its ACK arrives, on
every transport; meanwhile Accepted absorbs the INVITE's retransmissions.
"""

from __future__ import annotations

from typing import ClassVar, Final

from tas.sip.core import Core, ServerKey
from tas.sip.flow import Flow
from tas.sip.machine import Rows, Table, compile_rows, step
from tas.sip.message import Request, Response
from tas.sip.transaction.server import ServerTransaction
from tas.sip.transaction.states import (
    ACCEPTED,
    ACK,
    COMPLETED,
    CONFIRMED,
    FAILURE,
    PROCEEDING,
    PROVISIONAL,
    REQUEST,
    SUCCESS,
    TERMINATED,
    TIMER_G,
    TIMER_H,
    TIMER_I,
    TIMER_L,
)

ROWS: Final[Rows] = {
    PROCEEDING: {
        REQUEST: (PROCEEDING, "send"),  # the latest provisional again
        PROVISIONAL: (PROCEEDING, "send"),
        SUCCESS: (ACCEPTED, "send start_l"),
        FAILURE: (COMPLETED, "send start_g start_h"),
    },
    ACCEPTED: {
        REQUEST: (ACCEPTED, ""),
        SUCCESS: (ACCEPTED, "send"),
        TIMER_L: (TERMINATED, "end"),
    },
    COMPLETED: {
        REQUEST: (COMPLETED, "send"),
        ACK: (CONFIRMED, "stop_timers start_i"),
        TIMER_G: (COMPLETED, "send restart_g"),
        TIMER_H: (TERMINATED, "end"),
    },
    CONFIRMED: {
        REQUEST: (CONFIRMED, ""),
        ACK: (CONFIRMED, ""),
        TIMER_I: (TERMINATED, "end"),
    },
    TERMINATED: {},
}


class InviteServer(ServerTransaction):
    """Answers 100 Trying when made: our user may take longer than 200 ms (§17.2.1)."""

    __slots__ = ()

    TABLE: ClassVar[Table[ServerTransaction]]

    def __init__(self, core: Core, key: ServerKey, request: Request, flow: Flow, now: float) -> None:
        super().__init__(core, key, request, flow)
        self.state = PROCEEDING
        self.respond(100, None, now=now)

    def acknowledge(self, now: float) -> None:
        """An ACK with the branch of this INVITE."""
        step(self.TABLE, self, ACK, None, now)

    def _start_g(self, _message: Request | Response | None, now: float) -> None:
        if not self.flow.reliable:
            self.retransmission = self.core.timers.start(self.interval, TIMER_G, self, now)

    def _restart_g(self, _message: Request | Response | None, now: float) -> None:
        self.interval = min(2 * self.interval, self.core.t2)
        self.retransmission = self.core.timers.start(self.interval, TIMER_G, self, now)

    def _start_h(self, _message: Request | Response | None, now: float) -> None:
        self.timeout = self.core.timers.start(self.core.t1x64, TIMER_H, self, now)

    def _start_i(self, _message: Request | Response | None, now: float) -> None:
        self.data = b""
        if self.flow.reliable:
            self.on_timer(TIMER_I, now)
        else:
            self.timeout = self.core.timers.start(self.core.t4, TIMER_I, self, now)

    def _start_l(self, _message: Request | Response | None, now: float) -> None:
        self.usage = None  # a CANCEL comes too late now
        self.timeout = self.core.timers.start(self.core.t1x64, TIMER_L, self, now)


InviteServer.TABLE = compile_rows(ROWS, InviteServer)
