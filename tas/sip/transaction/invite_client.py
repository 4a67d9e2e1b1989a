"""INVITE client transaction (RFC 3261 §17.1.1, RFC 6026 §7.2).

It sends the INVITE until something answers, acknowledges rejections itself (an ACK to a 2xx is the usage's), and
stays in Accepted for 64*T1 to hand retransmitted and forked 2xx to the usage.
"""

from __future__ import annotations

from typing import ClassVar, Final

from tas.sip.core import Core
from tas.sip.flow import Flow
from tas.sip.heads import RequestHead
from tas.sip.machine import Rows, Table, compile_rows
from tas.sip.message import Request, Response
from tas.sip.transaction.client import ClientTransaction, ClientUser
from tas.sip.transaction.states import (
    ACCEPTED,
    CALLING,
    COMPLETED,
    FAILURE,
    PROCEEDING,
    PROVISIONAL,
    SUCCESS,
    TERMINATED,
    TIMER_A,
    TIMER_B,
    TIMER_D,
    TIMER_D_S,
    TIMER_M,
    TRANSPORT_ERROR,
)

ROWS: Final[Rows] = {
    CALLING: {
        PROVISIONAL: (PROCEEDING, "stop_timers keep_limit tell"),
        SUCCESS: (ACCEPTED, "stop_timers start_m tell"),
        FAILURE: (COMPLETED, "stop_timers acknowledge tell start_d"),
        TIMER_A: (CALLING, "send start_a"),
        TIMER_B: (TERMINATED, "tell_timeout end"),
        TRANSPORT_ERROR: (TERMINATED, "tell_transport_error end"),
    },
    PROCEEDING: {
        PROVISIONAL: (PROCEEDING, "tell"),
        SUCCESS: (ACCEPTED, "stop_timers start_m tell"),
        FAILURE: (COMPLETED, "stop_timers acknowledge tell start_d"),
        TIMER_B: (TERMINATED, "tell_timeout end"),  # runs only after `limit`
        TRANSPORT_ERROR: (TERMINATED, "tell_transport_error end"),
    },
    ACCEPTED: {
        SUCCESS: (ACCEPTED, "tell"),
        TIMER_M: (TERMINATED, "end"),
    },
    COMPLETED: {
        FAILURE: (COMPLETED, "send"),  # the ACK again
        TIMER_D: (TERMINATED, "end"),
        TRANSPORT_ERROR: (TERMINATED, "end"),
    },
    TERMINATED: {},
}


class InviteClient(ClientTransaction):
    """Sends an INVITE when made."""

    __slots__ = ("_limited",)

    TABLE: ClassVar[Table[ClientTransaction]]

    def __init__(self, core: Core, head: RequestHead, flow: Flow, data: bytes, user: ClientUser, now: float) -> None:
        super().__init__(core, b"INVITE", head, flow, data, user)
        self.state = CALLING
        self._limited = False
        self._send(None, now)
        if not flow.reliable:
            self.retransmission = core.timers.start(core.t1, TIMER_A, self, now)
        self.timeout = core.timers.start(core.t1x64, TIMER_B, self, now)

    def limit(self, now: float) -> None:
        """Wait no longer than 64*T1 for a final response, as after a CANCEL (§9.1), once there was a provisional."""
        self._limited = True
        if self.state == PROCEEDING:
            self._keep_limit(None, now)

    def _keep_limit(self, _message: Request | Response | None, now: float) -> None:
        if self._limited and self.timeout is None:
            self.timeout = self.core.timers.start(self.core.t1x64, TIMER_B, self, now)

    def _start_a(self, _message: Request | Response | None, now: float) -> None:
        self.interval *= 2  # without a ceiling, unlike E (§17.1.1.2)
        self.retransmission = self.core.timers.start(self.interval, TIMER_A, self, now)

    def _start_m(self, _message: Request | Response | None, now: float) -> None:
        self.timeout = self.core.timers.start(self.core.t1x64, TIMER_M, self, now)

    def _start_d(self, message: Request | Response | None, now: float) -> None:
        self.user = None
        if self.flow.reliable:
            self.on_timer(TIMER_D, now)
        elif self.state == COMPLETED:
            self.timeout = self.core.timers.start(TIMER_D_S, TIMER_D, self, now)

    def _acknowledge(self, message: Request | Response | None, now: float) -> None:
        # §17.1.1.3: same Request-URI, top Via, Route and CSeq number as the INVITE; To comes from the response.
        if message is None:
            return
        self.head.to = message.get(b"to") or self.head.to
        self.data = self.head.render(b"ACK")
        self._send(None, now)


InviteClient.TABLE = compile_rows(ROWS, InviteClient)
