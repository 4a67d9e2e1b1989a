"""Non-INVITE server transaction (RFC 3261 §17.2.2): repeats its final response for 64*T1."""

from __future__ import annotations

from typing import ClassVar, Final

from tas.sip.core import Core, ServerKey
from tas.sip.flow import Flow
from tas.sip.machine import Rows, Table, compile_rows
from tas.sip.message import Request, Response
from tas.sip.transaction.server import ServerTransaction
from tas.sip.transaction.states import (
    COMPLETED,
    FAILURE,
    PROCEEDING,
    PROVISIONAL,
    REQUEST,
    SUCCESS,
    TERMINATED,
    TIMER_J,
    TRYING,
)

ROWS: Final[Rows] = {
    TRYING: {
        REQUEST: (TRYING, ""),
        PROVISIONAL: (PROCEEDING, "send"),
        SUCCESS: (COMPLETED, "send start_j"),
        FAILURE: (COMPLETED, "send start_j"),
    },
    PROCEEDING: {
        REQUEST: (PROCEEDING, "send"),
        PROVISIONAL: (PROCEEDING, "send"),
        SUCCESS: (COMPLETED, "send start_j"),
        FAILURE: (COMPLETED, "send start_j"),
    },
    COMPLETED: {
        REQUEST: (COMPLETED, "send"),
        TIMER_J: (TERMINATED, "end"),
    },
    TERMINATED: {},
}


class NonInviteServer(ServerTransaction):
    """Waits for its user's answer."""

    __slots__ = ()

    TABLE: ClassVar[Table[ServerTransaction]]

    def __init__(self, core: Core, key: ServerKey, request: Request, flow: Flow) -> None:
        super().__init__(core, key, request, flow)
        self.state = TRYING

    def _start_j(self, _message: Request | Response | None, now: float) -> None:
        if self.flow.reliable:
            self.on_timer(TIMER_J, now)
        else:
            self.timeout = self.core.timers.start(self.core.t1x64, TIMER_J, self, now)


NonInviteServer.TABLE = compile_rows(ROWS, NonInviteServer)
