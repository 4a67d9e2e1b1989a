"""Calls as they cross the bus between TAS nodes and the agent broker, and as the HTTP API shows them.

Events go from a TAS to the broker in an EventBatch; commands go from the leading broker to one TAS. Nothing per
SIP message is here. A queued call's clock is `waited_s`: how long it waits already, so that no clocks compare.
"""

from enum import StrEnum

import msgspec

from common.contracts.agents import Binding
from common.contracts.ids import CallUid, OfferId

# --- TAS -> broker ---------------------------------------------------------------------------------------------


class CallQueued(msgspec.Struct, frozen=True, tag="call.queued"):
    """A call entered a queue or, in a snapshot, waits in it."""

    call_uid: CallUid
    queue: str
    caller: str
    waited_s: float = 0.0
    called: str = ""


class CallDequeued(msgspec.Struct, frozen=True, tag="call.dequeued"):
    """A call left its queue without an agent: abandoned, timed out. Any offer of it is void."""

    call_uid: CallUid
    queue: str
    reason: str
    waited_s: float = 0.0


class OfferResult(StrEnum):
    """What became of an offer."""

    RINGING = "ringing"
    """The agent's phone rings; more will follow."""
    ANSWERED = "answered"
    """The two are bridged: the call has left its queue."""
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    DECLINED = "declined"
    UNREACHABLE = "unreachable"
    """No binding, time-out, transport error, 5xx of the phone."""
    CALLER_GONE = "caller_gone"
    REFUSED = "refused"
    """The TAS could not try: unknown call, stale epoch, no media. `detail` says which; not the agent's fault."""


class OfferReport(msgspec.Struct, frozen=True, tag="offer.report"):
    """Progress or end of an offer."""

    offer: OfferId
    call_uid: CallUid
    agent: str
    result: OfferResult
    detail: str = ""


class AgentCallPhase(StrEnum):
    """Phases of a call in which an agent takes part, queue calls included."""

    DIALLING = "dialling"
    RINGING = "ringing"
    TALKING = "talking"
    ENDED = "ended"


class AgentCall(msgspec.Struct, frozen=True, tag="agent.call"):
    """An agent's part in a call moved on. For a queue call `queue` is set and only TALKING and ENDED are sent."""

    agent: str
    call_uid: CallUid
    phase: AgentCallPhase
    peer: str = ""
    queue: str = ""


class PhoneRegistered(msgspec.Struct, frozen=True, tag="phone.registered"):
    """A binding was made (not sent for a refresh that changes nothing)."""

    binding: Binding


class PhoneUnregistered(msgspec.Struct, frozen=True, tag="phone.unregistered"):
    """A binding ended: by request, expiry or a lost flow. `last` says no binding of the AOR is left on this node."""

    binding: Binding
    last: bool


class CallEnded(msgspec.Struct, frozen=True, tag="call.ended"):
    """A call is over; its CDR is on the way to the store."""

    call_uid: CallUid
    queue: str = ""
    result: str = ""
    reason: str = ""


class MediaServerView(msgspec.Struct, frozen=True):
    """A media server as one TAS sees it."""

    server: str
    state: str
    """up | draining | suspect | down | absent"""
    used: int = 0
    limit: int = 0
    taken_total: int = 0
    """Sessions this TAS placed there since its start."""


class NodeReport(msgspec.Struct, frozen=True, tag="node.report"):
    """Once a second: a TAS's load, for placement and the HTTP API."""

    calls: int
    draining: bool
    registrations: int
    media: list[MediaServerView]


class Snapshot(msgspec.Struct, frozen=True, tag="snapshot"):
    """Answer to SnapshotRequest: replaces all the broker knew of this node (incarnation)."""

    bindings: list[Binding]
    queued: list[CallQueued]
    agent_calls: list[AgentCall]
    offers: list[OfferReport]


NodeEvent = (
    CallQueued
    | CallDequeued
    | OfferReport
    | AgentCall
    | PhoneRegistered
    | PhoneUnregistered
    | CallEnded
    | NodeReport
    | Snapshot
)


class EventBatch(msgspec.Struct, frozen=True):
    """All events of one turn of a TAS's loop, in order."""

    events: list[NodeEvent]


# --- broker -> TAS ---------------------------------------------------------------------------------------------


class Offer(msgspec.Struct, frozen=True, tag="offer"):
    """Ring this agent for this queued call. Answered by OfferReports, always ending in one that is not RINGING."""

    offer: OfferId
    call_uid: CallUid
    agent: str
    ring_timeout_s: float


class OfferCancel(msgspec.Struct, frozen=True, tag="offer.cancel"):
    """Stop ringing; the call stays queued."""

    offer: OfferId
    call_uid: CallUid


class QueueRefused(msgspec.Struct, frozen=True, tag="queue.refused"):
    """The broker does not take the call into the queue (maxlen, joinempty, unknown): play busy or overflow."""

    call_uid: CallUid
    queue: str
    reason: str


class SnapshotRequest(msgspec.Struct, frozen=True, tag="snapshot.request"):
    """Send a Snapshot: a new leader, a gap in the sequence, or a new incarnation of the node."""


class HangUp(msgspec.Struct, frozen=True, tag="call.hangup"):
    """End a call from outside (tasctl, console)."""

    call_uid: CallUid


NodeCommand = Offer | OfferCancel | QueueRefused | SnapshotRequest | HangUp


class CommandBatch(msgspec.Struct, frozen=True):
    """Commands to one TAS, in order. A TAS refuses an epoch lower than the highest it has seen."""

    commands: list[NodeCommand]


# --- shown over HTTP ------------------------------------------------------------------------------------------


class LegView(msgspec.Struct, frozen=True):
    """One leg of a call."""

    leg_id: str
    sip_call_id: str
    peer: str
    direction: str
    """in | out"""
    state: str
    media: str
    """media server, empty before one was chosen"""
    codec: str = ""


class CallView(msgspec.Struct, frozen=True):
    """A call as GET /v1/calls shows it."""

    call_uid: str
    node: str
    state: str
    caller: str
    called: str
    queue: str
    agent: str
    duration_s: float
    legs: list[LegView]
    outcome: str = ""


class LadderStep(msgspec.Struct, frozen=True):
    """One SIP message of a call's ladder; `at_s` counts from the call's first message."""

    at_s: float
    leg_id: str
    sent: bool
    peer: str
    """ip:port"""
    first_line: str
    cseq: str
