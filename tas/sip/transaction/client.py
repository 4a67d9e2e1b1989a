"""What both client machines share: the request on the wire, its two timers and the way to the user."""

from __future__ import annotations

from typing import ClassVar, Protocol

from tas.sip.core import Core, FlowKey
from tas.sip.flow import Flow
from tas.sip.heads import RequestHead
from tas.sip.machine import Table, step
from tas.sip.message import Request, Response
from tas.sip.timers import Timer
from tas.sip.transaction.states import (
    FAILURE,
    PROVISIONAL,
    SUCCESS,
    TERMINATED,
    TRANSPORT_ERROR,
)

TIMEOUT_STATUS = 408
TRANSPORT_STATUS = 503  # RFC 3261 §8.1.3.1


class ClientUser(Protocol):
    """The transaction user of a request we send."""

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """A response that the machine did not absorb."""

    def on_failure(self, transaction: ClientTransaction, status: int, now: float) -> None:
        """No answer (408), or the request could not be sent (503); the transaction has terminated."""


class ClientTransaction:
    """A request we sent; `user` is cleared at the end, so that nothing keeps a finished call alive."""

    __slots__ = ("core", "data", "flow", "head", "interval", "key", "retransmission", "state", "timeout", "user")

    TABLE: ClassVar[Table[ClientTransaction]]

    def __init__(
        self, core: Core, method: bytes, head: RequestHead, flow: Flow, data: bytes, user: ClientUser | None
    ) -> None:
        self.core = core
        self.key = (head.branch, method)
        self.head = head
        self.flow = flow
        self.data = data
        self.user = user
        self.state = TERMINATED
        self.interval = core.t1
        self.retransmission: Timer | None = None
        self.timeout: Timer | None = None
        core.clients[self.key] = self
        if flow.reliable:
            core.flow_clients.setdefault(flow_key(flow), set()).add(self)

    def receive(self, response: Response, now: float) -> None:
        """A response that belongs to this transaction."""
        status = response.status
        event = PROVISIONAL if status < 200 else SUCCESS if status < 300 else FAILURE
        step(self.TABLE, self, event, response, now)

    def on_timer(self, kind: str, now: float) -> None:
        """TimerOwner."""
        step(self.TABLE, self, kind, None, now)

    def fail(self, now: float) -> None:
        """The transport could not deliver the request."""
        step(self.TABLE, self, TRANSPORT_ERROR, None, now)

    def abandon(self) -> None:
        """End without a word to anybody (RFC 3261 §9.1: no final response after a CANCEL)."""
        self.state = TERMINATED
        self._end(None, 0.0)

    def _send(self, _message: Request | Response | None, now: float) -> None:
        self.core.send(self.flow, self.data, self.head.call_id, now)

    def _tell(self, message: Request | Response | None, now: float) -> None:
        if self.user is not None and isinstance(message, Response):
            self.user.on_response(self, message, now)

    def _tell_timeout(self, _message: Request | Response | None, now: float) -> None:
        if self.user is not None:
            self.user.on_failure(self, TIMEOUT_STATUS, now)

    def _tell_transport_error(self, _message: Request | Response | None, now: float) -> None:
        if self.user is not None:
            self.user.on_failure(self, TRANSPORT_STATUS, now)

    def _stop_timers(self, _message: Request | Response | None, now: float) -> None:
        timers = self.core.timers
        timers.cancel(self.retransmission)
        timers.cancel(self.timeout)
        self.retransmission = self.timeout = None
        self.data = b""  # never sent again

    def _end(self, _message: Request | Response | None, now: float) -> None:
        self._stop_timers(None, now)
        self.user = None
        core = self.core
        core.clients.pop(self.key, None)
        if self.flow.reliable:
            key = flow_key(self.flow)
            on_flow = core.flow_clients.get(key)
            if on_flow is not None:
                on_flow.discard(self)
                if not on_flow:
                    del core.flow_clients[key]


def flow_key(flow: Flow) -> FlowKey:
    """What the client transactions of a stream are found by when it breaks."""
    return flow.connection or flow.remote
