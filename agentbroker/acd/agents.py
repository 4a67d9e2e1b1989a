"""Agents: their state as a table, and why they are in it.

LoggedOut -> (phone registers) -> Ready or NotReady;  Ready -> Reserved -> Ringing -> Talking -> WrapUp -> Ready.
A direct call (not from a queue) takes an agent to Ringing or Talking and back to where it was. `Hold` is Talking with
the other party on hold; the TAS reports it when transfers come.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

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
    ANSWERS = "answers"
    RELEASED = "offer over, not the agent's fault"
    FAILED = "offer over, the agent's fault"
    CALL_RINGS = "direct call rings"
    CALL_UP = "direct call up"
    CALL_OVER = "direct call over"
    QUEUE_CALL_OVER = "queue call over"
    WRAP_OVER = "wrap-up over"


_OUT: Final = {Event.LOGOFF: LOGGED_OUT}

TABLE: Final[dict[AgentState, dict[Event, AgentState]]] = {
    LOGGED_OUT: {Event.LOGON_READY: READY, Event.LOGON_NOT_READY: NOT_READY},
    NOT_READY: {
        Event.LOGON_READY: READY,
        Event.SET_READY: READY,
        Event.SET_NOT_READY: NOT_READY,
        Event.CALL_RINGS: RINGING,
        Event.CALL_UP: TALKING,
        **_OUT,
    },
    READY: {
        Event.SET_NOT_READY: NOT_READY,
        Event.OFFERED: RESERVED,
        Event.CALL_RINGS: RINGING,
        Event.CALL_UP: TALKING,
        **_OUT,
    },
    RESERVED: {
        Event.RINGS: RINGING,
        Event.ANSWERS: TALKING,
        Event.RELEASED: READY,
        Event.FAILED: NOT_READY,
    },
    RINGING: {
        Event.ANSWERS: TALKING,
        Event.RELEASED: READY,
        Event.FAILED: NOT_READY,
        Event.CALL_UP: TALKING,
        Event.CALL_OVER: READY,
    },
    TALKING: {Event.CALL_OVER: READY, Event.QUEUE_CALL_OVER: WRAP_UP},
    HOLD: {Event.CALL_OVER: READY, Event.QUEUE_CALL_OVER: WRAP_UP},
    WRAP_UP: {
        Event.WRAP_OVER: READY,
        Event.SET_READY: READY,
        Event.SET_NOT_READY: NOT_READY,
        Event.CALL_RINGS: RINGING,
        Event.CALL_UP: TALKING,
        **_OUT,
    },
}
"""CALL_OVER, RELEASED and WRAP_OVER lead to Ready unless something else is due: see Agent.settle."""

BUSY: Final = frozenset((RESERVED, RINGING, TALKING, HOLD))


class Agent:
    """One agent. Times are the broker's monotonic clock."""

    __slots__ = (
        "calls", "calls_taken", "devices", "entry", "idle_since", "node", "number", "offer", "origin", "pending",
        "queues", "reason", "resume", "since", "state", "token",
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
        """(edge node, contact) -> binding."""
        self.offer = ""
        self.calls: dict[str, str] = {}
        """Calls the agent takes part in: call_uid -> queue, empty for direct ones."""
        self.calls_taken = 0
        self.pending: tuple[Event, str, Origin] | None = None
        """A state asked for while busy: (SET_READY | SET_NOT_READY, reason, origin), due after the call."""
        self.resume: tuple[AgentState, str, Origin] | None = None
        """Where a direct call found the agent."""
        self.token = 0
        """Grows with every change; entries of ready lists carry the one they were made with."""

    def step(self, event: Event, now: float, reason: str = "", origin: Origin = "system") -> bool:
        """Apply one event; False when the state has no row for it."""
        after = TABLE[self.state].get(event)
        if after is None:
            return False
        self.state, self.reason, self.origin = after, reason, origin
        self.since = now
        self.token += 1
        return True

    def settle(self, now: float) -> None:
        """After a call or an offer: the state asked for meanwhile, or where a direct call had found the agent."""
        resume, self.resume = self.resume, None
        if resume is not None and self.state is READY and resume[0] is NOT_READY:
            self.state, self.reason, self.origin = resume
        pending, self.pending = self.pending, None
        if pending is not None:
            event, reason, origin = pending
            self.step(event, now, reason, origin)
        if not self.devices and self.state not in BUSY:
            self.step(Event.LOGOFF, now)

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


FAILURES: Final = {
    "no_answer": SystemReason.RNA,
    "busy": SystemReason.REJECTED,
    "declined": SystemReason.REJECTED,
    "unreachable": SystemReason.PHONE_DOWN,
}
"""OfferResult -> reason of the NotReady that follows."""
