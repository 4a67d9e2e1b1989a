"""A call: plain state, one table, and the dispatch of what happens to its legs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec

from common.contracts.calls import LegView, Offer
from common.contracts.ids import CallUid, LegId, make_leg_id
from common.contracts.media import DeleteResult, SessionCreated
from common.contracts.outcome import Outcome
from common.contracts.rpc import RpcError
from tas.calls import sessions, table
from tas.calls.actions import CompiledTable
from tas.calls.leg import Leg
from tas.errors import CallRefused
from tas.media.link import FULL_OR_DRAINING, Notification
from tas.routing.router import Destination, Kind

if TYPE_CHECKING:
    from tas.calls.control import CallControl

ENTRIES: Final = {
    Kind.QUEUE: table.ENTER_QUEUE,
    Kind.MENU: table.ENTER_MENU,
    Kind.ECHO: table.ENTER_ECHO,
    Kind.AGENT: table.DIAL,
    Kind.OUTSIDE: table.DIAL,
    Kind.HANGUP: table.HANG_UP,
}
PAST_LEGS: Final = 16
"""A call that rings at more agents keeps its first ones."""


class Call:
    """One customer contact. Times are of the node's monotonic clock; `started_wall` is Unix time in seconds."""

    __slots__ = (
        "agent",
        "answered_at",
        "called",
        "callee",
        "caller",
        "control",
        "destination",
        "direction",
        "ended_at",
        "failed_servers",
        "from_agent",
        "from_display",
        "media_server",
        "menu_repeats",
        "number_of_legs",
        "offer",
        "outcome",
        "packets_lost",
        "past_legs",
        "play_id",
        "queue",
        "queued_at",
        "started_at",
        "started_wall",
        "state",
        "timers",
        "trunk",
        "uid",
    )  # fmt: skip

    TABLE: ClassVar[CompiledTable] = {}
    """Set once by the plug board, which knows the rooms the actions live in."""

    def __init__(self, control: CallControl, uid: CallUid, caller: Leg, called: str, now: float, wall: float) -> None:
        self.control = control
        self.uid = uid
        self.caller = caller
        self.callee: Leg | None = None
        self.called = called
        self.state = table.ARRIVING
        self.destination = Destination(Kind.HANGUP)
        self.direction = "in"
        self.from_agent = ""
        """The calling agent's number, empty for a caller from a trunk."""
        self.from_display = b""
        self.trunk = ""
        self.queue = ""
        self.agent = ""
        self.offer: Offer | None = None
        self.started_at = now
        self.started_wall = wall
        self.queued_at: float | None = None
        self.answered_at: float | None = None
        """When a person answered; a queue's or menu's own 200 does not count."""
        self.ended_at: float | None = None
        self.outcome: Outcome | None = None
        self.timers: dict[str, float] = {}
        """Event to feed -> deadline; the control's heap holds the same deadlines."""
        self.play_id = 0
        self.menu_repeats = 0
        self.failed_servers: set[str] = set()
        self.media_server = ""
        """The server that carries the call; stays in the CDR when the server dies."""
        self.packets_lost = 0
        self.number_of_legs = 1
        self.past_legs: list[LegView] = []
        """The first PAST_LEGS legs that rang and were let go: their ladders stay."""

    def feed(self, event: str, data: Any, now: float) -> bool:
        """Step the table; False when the state has no row for the event."""
        row = self.TABLE[self.state].get(event)
        if row is None:
            return False
        self.state = row[0]
        for action in row[1]:
            action(self, data, now)
        return True

    def enter(self, destination: Destination, now: float) -> None:
        """Send the caller to where a number or a menu choice leads."""
        self.destination = destination
        self.feed(ENTRIES[destination.kind], destination, now)

    def release_callee(self) -> None:
        """Let the called leg go; what it was stays to be looked at."""
        if self.callee is not None and self.callee.usage is not None and len(self.past_legs) < PAST_LEGS:
            self.past_legs.append(self.callee.view())
        self.callee = None

    def next_leg_id(self) -> LegId:
        """The id of a further leg."""
        self.number_of_legs += 1
        return make_leg_id(self.uid, self.number_of_legs)

    def leg_of(self, usage: object) -> Leg | None:
        """The leg a usage belongs to; None for one that this call has let go."""
        if self.caller.usage is usage:
            return self.caller
        return self.callee if self.callee is not None and self.callee.usage is usage else None

    def leg_by_session(self, session: str) -> Leg | None:
        """The leg of a media session."""
        if session == self.caller.leg_id:
            return self.caller
        return self.callee if self.callee is not None and session == self.callee.leg_id else None

    # Timers: at most one of each kind.

    def set_timer(self, event: str, delay_s: float, now: float) -> None:
        """Feed `event` after `delay_s`, unless cleared or set anew."""
        self.timers[event] = now + delay_s
        self.control.schedule(now + delay_s, self.uid, event)

    def clear_timer(self, event: str) -> None:
        """Forget a timer."""
        self.timers.pop(event, None)

    def on_timer(self, event: str, deadline: float, now: float) -> None:
        """A deadline of the heap came; stale ones are ignored."""
        if self.timers.get(event) == deadline:
            del self.timers[event]
            self.feed(event, None, now)

    # The media server's answers and news.

    def on_media_reply(self, tag: str, result: msgspec.Raw, error: RpcError | None, now: float) -> None:
        """ReplyTo: `tag` is "delete", or the leg id whose session was asked for."""
        if tag == "delete":
            if error is None:
                lost = msgspec.json.decode(result, type=DeleteResult).statistics
                self.packets_lost += sum(statistics.packets_lost for statistics in lost)
            self.control.close(self, now)
            return
        if tag == "modify":
            return  # NO_SESSION comes with MEDIA_LOST, which ends the call
        leg = self.leg_by_session(tag)
        if error is not None:
            self._media_refused(leg, error, now)
        elif leg is not None:
            created = msgspec.json.decode(result, type=SessionCreated)
            leg.address, leg.port = created.address, created.port
            if leg is self.caller:
                self.enter(self.destination, now)
            else:
                self.feed(table.CALLEE_MEDIA, leg, now)

    def _media_refused(self, leg: Leg | None, error: RpcError, now: float) -> None:
        if leg is None or self.state == table.OVER:
            return
        if leg is not self.caller:
            self.feed(table.CALLEE_NO_MEDIA, error, now)
            return
        if leg.link is not None and error.code in FULL_OR_DRAINING:
            self.failed_servers.add(leg.link.name)
            if self.callee is not None:  # asked for in the same breath: should it be there, it is of no use
                sessions.delete(self, self.callee, now)
            leg.link = None
            if self.control.open_caller(self, now):
                return
        self.feed(table.NO_MEDIA, error, now)

    def on_notification(self, leg: Leg, notification: Notification, now: float) -> None:
        """News of a session of this call."""
        self.control.notification_table[type(notification)](self, leg, notification, now)

    def refuse(self, refusal: CallRefused, outcome: Outcome, now: float) -> None:
        """Reject the unanswered caller before the table has begun."""
        usage = self.caller.usage
        self.state = table.OVER
        if usage is not None:
            headers = ((b"retry-after", b"5"),) if refusal.status == 503 else ()
            usage.reject(refusal.status, refusal.reason.encode(), headers, now=now)
        self.control.finish(self, outcome, now)
