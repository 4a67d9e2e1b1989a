"""Non-INVITE client transaction (RFC 3261 §17.1.2): sends until a final response or 64*T1."""

from __future__ import annotations

from typing import ClassVar, Final

from tas.sip.core import Core
from tas.sip.flow import Flow
from tas.sip.heads import RequestHead
from tas.sip.machine import Rows, Table, compile_rows
from tas.sip.message import Request, Response
from tas.sip.transaction.client import ClientTransaction, ClientUser
from tas.sip.transaction.states import (
    COMPLETED,
    FAILURE,
    PROCEEDING,
    PROVISIONAL,
    SUCCESS,
    TERMINATED,
    TIMER_E,
    TIMER_F,
    TIMER_K,
    TRANSPORT_ERROR,
    TRYING,
)

ROWS: Final[Rows] = {
    TRYING: {
        PROVISIONAL: (PROCEEDING, "tell"),
        SUCCESS: (COMPLETED, "stop_timers tell start_k"),
        FAILURE: (COMPLETED, "stop_timers tell start_k"),
        TIMER_E: (TRYING, "send start_e"),
        TIMER_F: (TERMINATED, "tell_timeout end"),
        TRANSPORT_ERROR: (TERMINATED, "tell_transport_error end"),
    },
    PROCEEDING: {
        PROVISIONAL: (PROCEEDING, "tell"),
        SUCCESS: (COMPLETED, "stop_timers tell start_k"),
        FAILURE: (COMPLETED, "stop_timers tell start_k"),
        TIMER_E: (PROCEEDING, "send start_slow_e"),
        TIMER_F: (TERMINATED, "tell_timeout end"),
        TRANSPORT_ERROR: (TERMINATED, "tell_transport_error end"),
    },
    COMPLETED: {
        TIMER_K: (TERMINATED, "end"),
    },
    TERMINATED: {},
}


class NonInviteClient(ClientTransaction):
    """Sends any request but INVITE and ACK when made."""

    __slots__ = ()

    TABLE: ClassVar[Table[ClientTransaction]]

    def __init__(
        self, core: Core, method: bytes, head: RequestHead, flow: Flow, data: bytes, user: ClientUser | None, now: float
    ) -> None:
        super().__init__(core, method, head, flow, data, user)
        self.state = TRYING
        self._send(None, now)
        if not flow.reliable:
            self.retransmission = core.timers.start(core.t1, TIMER_E, self, now)
        self.timeout = core.timers.start(core.t1x64, TIMER_F, self, now)

    def _start_e(self, _message: Request | Response | None, now: float) -> None:
        self.interval = min(2 * self.interval, self.core.t2)
        self.retransmission = self.core.timers.start(self.interval, TIMER_E, self, now)

    def _start_slow_e(self, _message: Request | Response | None, now: float) -> None:
        self.interval = self.core.t2
        self.retransmission = self.core.timers.start(self.interval, TIMER_E, self, now)

    def _start_k(self, message: Request | Response | None, now: float) -> None:
        self.user = None
        if self.flow.reliable:
            self.on_timer(TIMER_K, now)
        else:
            self.timeout = self.core.timers.start(self.core.t4, TIMER_K, self, now)


NonInviteClient.TABLE = compile_rows(ROWS, NonInviteClient)
