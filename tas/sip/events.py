"""What the layer tells its user (the registrar, the calls); fetched with `SipLayer.take_events()`."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tas.sip.flow import Flow
    from tas.sip.invite.usage import InviteUsage
    from tas.sip.message import Request, Response
    from tas.sip.transaction.server import ServerTransaction


class EndCause(StrEnum):
    """Why a usage ended that its user did not end."""

    BYE = "bye"
    CANCEL = "cancel"
    NO_ACK = "no_ack"
    """Our 2xx was never acknowledged (RFC 3261 §13.3.1.4); the peer was sent a BYE."""
    TIMEOUT = "timeout"
    """A request inside the dialog got no answer, 408 or 481."""
    TRANSPORT = "transport"


class RequestReceived:
    """A request outside any dialog that is not an INVITE; answer it with `layer.respond(transaction, ...)`."""

    __slots__ = ("flow", "request", "transaction")

    def __init__(self, transaction: ServerTransaction, request: Request, flow: Flow) -> None:
        self.transaction = transaction
        self.request = request
        self.flow = flow


class ResponseReceived:
    """The final answer to `layer.request()`; `response` is None for a time-out (408) or transport error (503)."""

    __slots__ = ("key", "response", "status")

    def __init__(self, key: int, response: Response | None, status: int) -> None:
        self.key = key
        self.response = response
        self.status = status


class UsageEvent:
    """An event of one INVITE usage."""

    __slots__ = ("usage",)

    def __init__(self, usage: InviteUsage) -> None:
        self.usage = usage


class InviteReceived(UsageEvent):
    """A new call; 100 Trying was sent."""

    __slots__ = ("flow", "request")

    def __init__(self, usage: InviteUsage, request: Request, flow: Flow) -> None:
        self.usage = usage
        self.request = request
        self.flow = flow


class UsageProgress(UsageEvent):
    """A provisional answer above 100 to our INVITE."""

    __slots__ = ("body", "reason", "response", "status")

    def __init__(self, usage: InviteUsage, status: int, reason: bytes, body: bytes, response: Response) -> None:
        self.usage = usage
        self.status = status
        self.reason = reason
        self.body = body
        self.response = response


class UsageAnswered(UsageEvent):
    """The first 2xx to our INVITE. ACK was sent, unless the INVITE had no body: then call `usage.ack(body, now)`."""

    __slots__ = ("body", "response")

    def __init__(self, usage: InviteUsage, body: bytes, response: Response) -> None:
        self.usage = usage
        self.body = body
        self.response = response


class UsageRejected(UsageEvent):
    """Our INVITE failed: final answer, 408 (time-out) or 503 (transport) without a response. The usage is over."""

    __slots__ = ("reason", "response", "status")

    def __init__(self, usage: InviteUsage, status: int, reason: bytes, response: Response | None) -> None:
        self.usage = usage
        self.status = status
        self.reason = reason
        self.response = response


class UsageConfirmed(UsageEvent):
    """The ACK to our 2xx; `body` answers a late offer, else it is empty."""

    __slots__ = ("body",)

    def __init__(self, usage: InviteUsage, body: bytes) -> None:
        self.usage = usage
        self.body = body


class UsageReoffered(UsageEvent):
    """The peer's re-INVITE or UPDATE; no body asks for our offer. Use `usage.answer()` or `usage.reject()`."""

    __slots__ = ("body",)

    def __init__(self, usage: InviteUsage, body: bytes) -> None:
        self.usage = usage
        self.body = body


class UsageReinviteDone(UsageEvent):
    """The outcome of our re-INVITE; a rejected one leaves the session as it was."""

    __slots__ = ("body", "status")

    def __init__(self, usage: InviteUsage, status: int, body: bytes) -> None:
        self.usage = usage
        self.status = status
        self.body = body


class UsageInfo(UsageEvent):
    """An INFO inside the dialog; 200 was sent."""

    __slots__ = ("body", "content_type")

    def __init__(self, usage: InviteUsage, content_type: bytes, body: bytes) -> None:
        self.usage = usage
        self.content_type = content_type
        self.body = body


class UsageEnded(UsageEvent):
    """The peer or the network ended the usage; it is over."""

    __slots__ = ("cause", "reason", "status")

    def __init__(self, usage: InviteUsage, cause: EndCause, status: int, reason: bytes = b"") -> None:
        self.usage = usage
        self.cause = cause
        self.status = status
        self.reason = reason
        """The peer's Reason header (RFC 3326), empty without one."""


Event = (
    RequestReceived
    | ResponseReceived
    | InviteReceived
    | UsageProgress
    | UsageAnswered
    | UsageRejected
    | UsageConfirmed
    | UsageReoffered
    | UsageReinviteDone
    | UsageInfo
    | UsageEnded
)
