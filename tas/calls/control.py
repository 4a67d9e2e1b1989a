"""The call control of a node: SIP events, media news, broker commands and time in; everything else out.

Verbs: receive_sip, receive_commands, on_media_* (LinkEvents), next_timeout/handle_timeout; take_bus_events and the
`cdr` sink for what leaves. What goes out by SIP and to media servers leaves through the layer and the links.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Final

from common.contracts.calls import (
    HangUp,
    NodeCommand,
    NodeEvent,
    Offer,
    OfferCancel,
    OfferReport,
    OfferResult,
    QueueRefused,
)
from common.contracts.ids import CallUid
from common.contracts.media import Codec
from common.contracts.outcome import Outcome
from tas.calls import sessions, table
from tas.calls.admission import admit
from tas.calls.call import Call
from tas.calls.parties import Parties
from tas.calls.records import make_cdr, tell_end
from tas.calls.usage_events import HANDLERS, NOTIFICATIONS
from tas.cdr.model import CdrRow
from tas.config import TasConfig
from tas.media.link import LinkState, MediaLink, Notification
from tas.media.pool import MediaPool
from tas.metrics import TasMetrics
from tas.registrar.registrar import Registrar
from tas.routing.router import Kind, Router
from tas.routing.trunks import Trunk, Trunks
from tas.sip.events import InviteReceived, UsageEvent
from tas.sip.layer import SipLayer

DIRECT: Final = (Kind.AGENT, Kind.OUTSIDE)
ALL_CODECS: Final = (Codec.PCMA, Codec.PCMU)


class CallControl(Parties):
    """All calls of a node."""

    notification_table = NOTIFICATIONS

    def __init__(
        self,
        *,
        config: TasConfig,
        layer: SipLayer,
        registrar: Registrar,
        router: Router,
        trunks: Trunks,
        metrics: TasMetrics,
        random: Callable[[int], bytes],
        wall: Callable[[], float],
        cdr: Callable[[CdrRow], None],
        log_end: Callable[[Call], None],
    ) -> None:
        self.config = config
        self.node = config.settings.node
        self.layer = layer
        self.registrar = registrar
        self.router = router
        self.trunks = trunks
        self.metrics = metrics
        self.random = random
        self.wall = wall
        self.pool = MediaPool([])
        self.calls: dict[CallUid, Call] = {}
        self.draining = False
        self._cdr = cdr
        self._log_end = log_end
        self._bus_events: list[NodeEvent] = []
        self._deadlines: list[tuple[float, CallUid, str]] = []
        self._codecs = {name: tuple(entry.codecs) for name, entry in config.trunks.items()}

    # In.

    def receive_sip(self, event: UsageEvent, now: float) -> None:
        """An event of an INVITE usage."""
        if isinstance(event, InviteReceived):
            admit(self, event, now)
            return
        call = event.usage.owner
        if isinstance(call, Call):
            leg = call.leg_of(event.usage)
            if leg is not None:
                HANDLERS[type(event)](call, leg, event, now)

    def receive_command(self, command: NodeCommand, now: float) -> None:
        """A command of the leading broker (SnapshotRequest is the node's own)."""
        if isinstance(command, Offer):
            call = self.calls.get(command.call_uid)
            if call is None or not call.feed(table.OFFER, command, now):
                detail = "unknown call" if call is None else f"call is {call.state}"
                self.tell(OfferReport(command.offer, command.call_uid, command.agent, OfferResult.REFUSED, detail))
        elif isinstance(command, OfferCancel):
            call = self.calls.get(command.call_uid)
            if call is not None and call.offer is not None and call.offer.offer == command.offer:
                call.feed(table.OFFER_CANCEL, command, now)
        elif isinstance(command, QueueRefused):
            call = self.calls.get(command.call_uid)
            if call is not None:
                call.feed(table.REFUSED, command, now)
        elif isinstance(command, HangUp):
            self.hang_up(command.call_uid, now)

    def hang_up(self, call_uid: str, now: float) -> bool:
        """End a call from outside; False when there is none."""
        call = self.calls.get(CallUid(call_uid))
        return call is not None and call.feed(table.HANG_UP, None, now)

    def hang_up_all(self, now: float) -> None:
        """End every call: the process stops."""
        for call in list(self.calls.values()):
            call.feed(table.HANG_UP, None, now)

    def on_media_notification(self, link: MediaLink, notification: Notification, now: float) -> None:
        """LinkEvents."""
        call = self.calls.get(CallUid(notification.session.rpartition(".")[0]))
        leg = call.leg_by_session(notification.session) if call is not None else None
        if call is not None and leg is not None and leg.link is link:
            call.on_notification(leg, notification, now)

    def on_media_state(self, link: MediaLink, before: LinkState, now: float) -> None:
        """LinkEvents: counted; the pool looks at `link.state` by itself."""
        self.metrics.media_state(link.name, link.state, before)

    def on_media_lost(self, link: MediaLink, now: float) -> None:
        """LinkEvents: its calls have lost their sound."""
        for call in list(self.calls.values()):
            if call.caller.link is link:
                call.feed(table.MEDIA_LOST, None, now)

    def knows_session(self, link: MediaLink, session: str) -> bool:
        """LinkEvents."""
        call = self.calls.get(CallUid(session.rpartition(".")[0]))
        leg = call.leg_by_session(session) if call is not None else None
        return leg is not None and leg.link is link

    def next_timeout(self) -> float | None:
        """When a call's timer is due."""
        return self._deadlines[0][0] if self._deadlines else None

    def handle_timeout(self, now: float) -> None:
        """Feed due timers."""
        while self._deadlines and self._deadlines[0][0] <= now:
            deadline, uid, event = heapq.heappop(self._deadlines)
            call = self.calls.get(uid)
            if call is not None:
                call.on_timer(event, deadline, now)

    # Out.

    def take_bus_events(self) -> list[NodeEvent]:
        """What the brokers are to hear, in order."""
        events, self._bus_events = self._bus_events, []
        return events

    def tell(self, event: NodeEvent) -> None:
        """Queue an event for the brokers."""
        self._bus_events.append(event)

    # What calls and actions ask for.

    def schedule(self, deadline: float, uid: CallUid, event: str) -> None:
        """See Call.set_timer."""
        heapq.heappush(self._deadlines, (deadline, uid, event))

    def no_room(self, trunk: Trunk | None) -> bytes:
        """Why no new call is taken, empty when one is."""
        if self.draining:
            return b"Draining"
        if len(self.calls) >= self.config.settings.limits.max_calls:
            return b"Too many calls"
        return b"Trunk channels all in use" if trunk is not None and trunk.full else b""

    def count_rejected(self, status: int) -> None:
        """Metrics of INVITEs that never became calls."""
        self.metrics.rejected(status)

    def observe_setup(self, call: Call, now: float) -> None:
        """The caller was answered."""
        self.metrics.setup.observe(now - call.started_at)

    def codecs_of(self, trunk: str) -> tuple[Codec, ...]:
        """Codecs allowed on a trunk; "" for agents."""
        return self._codecs.get(trunk, ALL_CODECS)

    def open_caller(self, call: Call, now: float) -> bool:
        """Ask the next media server for the caller's session; False when none is left.

        The session of a directly called party is asked for in the same breath, one round trip sooner; raises
        CallRefused when there is no way to that party.
        """
        link = self.pool.choose(call.failed_servers)
        if link is None:
            return False
        kind = call.destination.kind
        if kind in DIRECT and call.callee is None:
            self.find_callee(call)
        call.caller.link = link
        call.media_server = link.name
        play = None
        if kind is Kind.QUEUE:
            play = sessions.queue_play(call)  # a late offer's caller hears it from the ACK on
        elif kind is Kind.MENU:
            play = sessions.menu_play(call)
        sessions.create(call, call.caller, now, play=play, echo=kind is Kind.ECHO)
        if call.callee is not None:
            sessions.create_callee(call, now)
        return True

    def finish(self, call: Call, outcome: Outcome, now: float) -> None:
        """The outcome is known: give sessions back; their last statistics close the call."""
        call.state = table.OVER
        call.outcome = outcome
        call.ended_at = now
        call.timers.clear()
        tell_end(self, call)
        if not sessions.delete_all(call, now):
            self.close(call, now)

    def close(self, call: Call, now: float) -> None:
        """Write the CDR and forget the call."""
        if self.calls.pop(call.uid, None) is None or call.outcome is None:
            return
        trunk = self.trunks.by_name.get(call.trunk)
        if trunk is not None:
            trunk.channels -= 1
        row = make_cdr(call)
        self.metrics.ended(row)
        self._cdr(row)
        self._log_end(call)

    def leg_counts(self) -> dict[str, int]:
        """What is alive, for the leak assertion."""
        return {"calls": len(self.calls), "call_timers": sum(len(call.timers) for call in self.calls.values())}
