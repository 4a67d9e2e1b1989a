"""Agents: their state as a table, and why they are in it.

At rest an agent is NotReady, Ready or in WrapUp, as people, logons and time say. While an offer or a call is theirs,
the state follows from these facts alone (`Agent.engage`), whatever order they came in: Talking when a call is up,
Ringing when a phone rings, Reserved by an offer that does not ring yet. When all are over the agent rests again:
NotReady when the offer came to nothing by the agent's fault, WrapUp after a queue's call, else where they were before.
`Hold` is Talking with the other party on hold; the TAS reports it when transfers come.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from common.contracts.agents import AgentState, AgentView, Binding, DeviceState, Origin, SystemReason
from common.service.directory import AgentEntry

LOGGED_OUT, NOT_READY, READY = AgentState.LOGGED_OUT, AgentState.NOT_READY, AgentState.READY
RESERVED, RINGING, TALKING = AgentState.RESERVED, AgentState.RINGING, AgentState.TALKING
HOLD, WRAP_UP = AgentState.HOLD, AgentState.WRAP_UP


class Event(StrEnum):
    """What changes an agent's state."""

    LOGON_READY = "logon ready"
    LOGON_NOT_READY = "logon not ready"
    LOGOFF = "logoff"
    SET_READY = "set ready"
    SET_NOT_READY = "set not ready"
    OFFERED = "offered"
    RINGS = "phone rings"
    TALKS = "call up"
    FREE = "all over"
    FREE_NOT_READY = "all over, not ready"
    WRAP = "queue call over"
    WRAP_OVER = "wrap-up over"


_ENGAGES: Final = {Event.OFFERED: RESERVED, Event.RINGS: RINGING, Event.TALKS: TALKING}
_RESTS: Final = {Event.FREE: READY, Event.FREE_NOT_READY: NOT_READY, Event.WRAP: WRAP_UP}
_SET: Final = {Event.SET_READY: READY, Event.SET_NOT_READY: NOT_READY, Event.LOGOFF: LOGGED_OUT}
_LOGON: Final = {Event.LOGON_READY: READY, Event.LOGON_NOT_READY: NOT_READY}

TABLE: Final[dict[AgentState, dict[Event, AgentState]]] = {
    LOGGED_OUT: _LOGON,
    NOT_READY: {**_LOGON, **_SET, **_ENGAGES},
    READY: {Event.SET_NOT_READY: NOT_READY, Event.LOGOFF: LOGGED_OUT, **_ENGAGES},
    WRAP_UP: {Event.WRAP_OVER: READY, **_SET, **_ENGAGES},
    RESERVED: {**_ENGAGES, **_RESTS},
    RINGING: {**_ENGAGES, **_RESTS},
    TALKING: {**_ENGAGES, **_RESTS},
    HOLD: {**_ENGAGES, **_RESTS},
}

BUSY: Final = frozenset((RESERVED, RINGING, TALKING, HOLD))
MOVING: Final = frozenset((SystemReason.FAILOVER, SystemReason.NO_CAPACITY))
"""Reasons of a NotReady that ends by itself, when the agent's phone and a node for it are there again."""


class CallPart(NamedTuple):
    """An agent's part in a call."""

    node: str
    """The TAS that has the call."""
    queue: str
    """Empty for a direct call."""
    up: bool
    """Not only ringing."""


class Rest(NamedTuple):
    """A state at rest."""

    state: AgentState
    reason: str
    origin: Origin


class Wish(NamedTuple):
    """A state asked for while the agent was busy, due afterwards."""

    event: Event
    reason: str
    origin: Origin


class Agent:
    """One agent. Times are the broker's monotonic clock."""

    __slots__ = (
        "calls", "calls_taken", "devices", "entry", "idle_since", "node", "number", "offer", "offer_rings", "origin",
        "pending", "queues", "reason", "resume", "since", "state", "token", "wrap_s", "wrap_until",
    )  # fmt: skip

    def __init__(self, number: str, entry: AgentEntry, now: float) -> None:
        self.number = number
        self.entry = entry
        self.queues: tuple[str, ...] = tuple(entry.queues)
        self.state = LOGGED_OUT
        self.reason = ""
        self.origin: Origin = "system"
        self.since = now
        self.idle_since = now
        """Since when the agent waits for a call; a call that came to nothing does not change it."""
        self.node = ""
        """Serving TAS."""
        self.devices: dict[tuple[str, str], Binding] = {}
        """(edge node, contact) -> binding, the newest last."""
        self.offer = ""
        self.offer_rings = False
        self.calls: dict[str, CallPart] = {}
        """call_uid -> the agent's part in it."""
        self.calls_taken = 0
        self.pending: Wish | None = None
        self.resume: Rest | None = None
        """Where an offer or a direct call found the agent."""
        self.wrap_s: float | None = None
        """Set when a queue's call is over while another still lasts: the WrapUp that is due, seconds."""
        self.wrap_until = 0.0
        self.token = 0
        """Grows with every change; entries of ready lists carry the one they were made with."""

    @property
    def engaged(self) -> bool:
        """Whether an offer or a call is the agent's."""
        return bool(self.offer or self.calls)

    def step(self, event: Event, now: float, reason: str = "", origin: Origin = "system") -> bool:
        """Apply one event; False when the state has no row for it."""
        after = TABLE[self.state].get(event)
        if after is None:
            return False
        self.state, self.reason, self.origin = after, reason, origin
        self.since = now
        self.token += 1
        return True

    def engage(self, now: float) -> bool:
        """Take the state that offer and calls demand; whether it is another one."""
        if any(part.up for part in self.calls.values()):
            event = Event.TALKS
        elif self.calls or self.offer_rings:
            event = Event.RINGS
        else:
            event = Event.OFFERED
        before = Rest(self.state, self.reason, self.origin)
        if TABLE[self.state].get(event) in (None, self.state):
            return False
        if self.state not in BUSY:
            self.resume = before
        return self.step(event, now)

    def device_state(self) -> DeviceState:
        """What the phone does."""
        if not self.devices:
            return DeviceState.UNREGISTERED
        return DeviceState.IN_USE if self.state in (RINGING, TALKING, HOLD) else DeviceState.REGISTERED

    def edge(self) -> str:
        """The node the phone registered with last."""
        return next(reversed(self.devices.values())).node if self.devices else ""

    def view(self, now: float) -> AgentView:
        """For the HTTP API."""
        return AgentView(
            agent=self.number,
            name=self.entry.name,
            state=self.state,
            reason=self.reason,
            origin=self.origin,
            state_s=round(now - self.since, 3),
            device=self.device_state(),
            node=self.node,
            edge=self.edge(),
            queues=list(self.queues),
            call_uid=next(iter(self.calls), ""),
            calls_taken=self.calls_taken,
        )
