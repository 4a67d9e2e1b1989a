"""What both server machines share: the response on the wire and how it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tas.sip.core import Core, ServerKey
from tas.sip.flow import Flow
from tas.sip.heads import ReplyHead
from tas.sip.machine import Table, step
from tas.sip.message import Request, Response
from tas.sip.timers import Timer
from tas.sip.transaction.states import FAILURE, PROVISIONAL, REQUEST, SUCCESS, TERMINATED

if TYPE_CHECKING:
    from tas.sip.invite.usage import InviteUsage

MergeKey = tuple[bytes, bytes, bytes]


class ServerTransaction:
    """A request we received; a response that cannot be sent is lost, the peer's own timers settle it."""

    __slots__ = (
        "core", "data", "flow", "head", "interval", "key", "merge_key", "method", "retransmission", "state", "tag",
        "timeout", "usage",
    )  # fmt: skip

    TABLE: ClassVar[Table[ServerTransaction]]

    def __init__(self, core: Core, key: ServerKey, request: Request, flow: Flow) -> None:
        self.core = core
        self.key = key
        self.method = request.method
        self.flow = flow
        self.head = ReplyHead(request)
        self.tag = b""
        """Our To-tag, chosen with the first response above 100."""
        self.data = b""
        self.state = TERMINATED
        self.interval = core.t1
        self.merge_key: MergeKey | None = None
        self.retransmission: Timer | None = None
        self.timeout: Timer | None = None
        self.usage: InviteUsage | None = None
        """Whom a CANCEL of this INVITE concerns."""
        core.servers[key] = self

    def respond(self, status: int, reason: bytes | None, extra: bytes = b"", body: bytes = b"", *, now: float) -> bool:
        """Send a response; False when the state no longer allows one."""
        event = PROVISIONAL if status < 200 else SUCCESS if status < 300 else FAILURE
        if event not in self.TABLE[self.state]:
            return False
        if status > 100 and not self.tag and not self.head.tagged:
            self.tag = self.core.tokens.tag()
        self.data = self.head.render(status, reason, self.tag, extra, body)
        return step(self.TABLE, self, event, None, now)

    def receive(self, request: Request, now: float) -> None:
        """The same request again."""
        step(self.TABLE, self, REQUEST, request, now)

    def on_timer(self, kind: str, now: float) -> None:
        """TimerOwner."""
        step(self.TABLE, self, kind, None, now)

    def _send(self, _message: Request | Response | None, now: float) -> None:
        if self.data:
            self.core.send(self.flow, self.data, self.head.call_id, now)

    def _stop_timers(self, _message: Request | Response | None, now: float) -> None:
        timers = self.core.timers
        timers.cancel(self.retransmission)
        timers.cancel(self.timeout)
        self.retransmission = self.timeout = None

    def _end(self, _message: Request | Response | None, now: float) -> None:
        self._stop_timers(None, now)
        self.usage = None
        self.core.servers.pop(self.key, None)
        if self.merge_key is not None:
            self.core.merged.pop(self.merge_key, None)
