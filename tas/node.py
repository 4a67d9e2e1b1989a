"""A TAS node without its doors: the SIP layer's user, the bus's subscriber, the clock of all machines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from common.contracts import topics
from common.contracts.agents import Binding
from common.contracts.calls import (
    AgentCall,
    CallEnded,
    CommandBatch,
    EventBatch,
    NodeEvent,
    NodeReport,
    OfferReport,
    OfferResult,
    PhoneRegistered,
    Snapshot,
    SnapshotRequest,
)
from common.contracts.envelopes import Envelope, Presence
from common.service.bus.protocol import Bus
from tas.calls import table
from tas.calls.actions_queue import queued_event
from tas.calls.control import CallControl
from tas.calls.records import agent_calls
from tas.registrar.bindings import topic_key
from tas.registrar.registrar import Registrar, contact_key
from tas.routing.trunks import Trunk, Trunks
from tas.sip.events import Event, RequestReceived, ResponseReceived, UsageEvent
from tas.sip.flow import Address, Flow
from tas.sip.layer import SipLayer
from tas.sip.message import Header

REPORT_INTERVAL_S: Final = 1.0
LAZY_FLUSH_S: Final = 0.05
"""Events nobody waits for (ends of calls, direct calls) are collected this long: a bus message costs more CPU than
all SIP parsing of a call."""
_LAZY: Final = (AgentCall, CallEnded, NodeReport)
RETRY_AFTER: Final[tuple[Header, ...]] = ((b"retry-after", b"5"),)


class Node:
    """Binds layer, registrar, trunks, call control and bus; five verbs."""

    def __init__(
        self,
        *,
        layer: SipLayer,
        registrar: Registrar,
        trunks: Trunks,
        control: CallControl,
        bus: Bus,
        presence: Callable[[str], Presence],
        now: float,
    ) -> None:
        self.layer = layer
        self.registrar = registrar
        self.trunks = trunks
        self.control = control
        self.bus = bus
        self.peers: dict[str, Address] = {}
        """SIP addresses of the other TAS nodes."""
        self.highest_epoch = 0
        self.refused_commands = 0
        self._presence = presence
        self._options: dict[int, Trunk] = {}
        self._outbox: list[NodeEvent] = []
        self._flush_at: float | None = None
        self._report_at = now + REPORT_INTERVAL_S
        self._slow_due = now  # links and trunks have first deadlines of their own
        self._commands = msgspec.json.Decoder(CommandBatch)
        self._bindings = msgspec.json.Decoder(Binding)
        self._presences = msgspec.json.Decoder(Presence)

    # SIP.

    def receive_events(self, events: list[Event], now: float) -> None:
        """What the layer has for its user."""
        for event in events:
            if isinstance(event, UsageEvent):
                self.control.receive_sip(event, now)
            elif isinstance(event, RequestReceived):
                self._receive_request(event, now)
            else:
                self._receive_response(event, now)

    def _receive_request(self, event: RequestReceived, now: float) -> None:
        method = event.request.method
        if method == b"REGISTER":
            if self.control.draining and not event.request.get(b"authorization"):
                self.layer.respond(event.transaction, 503, b"Draining", RETRY_AFTER, now=now)
                return
            answer = self.registrar.register(event.request, event.flow, now)
            self.layer.respond(event.transaction, answer.status, answer.reason, answer.headers, now=now)
        elif method == b"OPTIONS":
            status = 503 if self.control.draining else 200
            allow: Header = (b"allow", self.layer.settings.allow)
            supported: Header = (b"supported", b", ".join(self.layer.settings.supported))
            headers = RETRY_AFTER if status == 503 else (allow, (b"accept", b"application/sdp"), supported)
            self.layer.respond(event.transaction, status, None, headers, now=now)
        else:
            self.layer.respond(event.transaction, 405, None, ((b"allow", self.layer.settings.allow),), now=now)

    def _receive_response(self, event: ResponseReceived, now: float) -> None:
        trunk = self._options.pop(event.key, None)
        if trunk is not None:
            self.trunks.received_answer(trunk, event.status, now)

    def _send_options(self, trunk: Trunk, now: float) -> None:
        host, port = trunk.entry.target_address
        target = b"sip:%b:%d" % (host.encode(), port)
        me = b"<sip:%b>" % self.control.config.settings.sip.realm.encode()
        flow = Flow(trunk.entry.transport, (host, port))
        key = self.layer.request(method=b"OPTIONS", uri=target, flow=flow, from_=me, to=b"<%b>" % target, now=now)
        self._options[key] = trunk

    # Bus.

    def on_connection(self, connected: bool, now: float) -> None:
        """The bus came or went: when it is back everybody hears anew what is retained, and all of us."""
        if connected:
            self.bus.publish(topics.presence("tas", self.bus.node), self._presence("up"), retain=True)
            for binding in self.registrar.bindings.all_own():
                self._publish_binding(binding)
            self._outbox = [self.snapshot(now)]  # what was said meanwhile is in it
            self._flush_at = now

    def on_commands(self, _topic: str, envelope: Envelope | None, now: float) -> None:
        """CommandBatch from a broker; one with a lower epoch than seen comes from a deposed leader."""
        if envelope is None:
            return
        if envelope.epoch < self.highest_epoch:
            self.refused_commands += 1
            return
        self.highest_epoch = envelope.epoch
        for command in self._commands.decode(envelope.body).commands:
            if isinstance(command, SnapshotRequest):
                self._outbox.append(self.snapshot(now))
                self._flush_at = now
            else:
                self.control.receive_command(command, now)

    def on_binding(self, topic: str, envelope: Envelope | None, now: float) -> None:
        """A binding of another node; or one of our former life, which nobody keeps alive any more."""
        node, aor, key = topics.parse_binding(topic)
        if node == self.bus.node:
            stale = envelope is not None and envelope.inc != self.bus.incarnation
            if stale and not any(topic_key(known) == key for known in self.registrar.bindings.contacts(aor)):
                self.bus.clear(topic)
        elif envelope is None:
            self.registrar.bindings.remove_remote(node, aor, key)
        else:
            self.registrar.bindings.put_remote(key, self._bindings.decode(envelope.body), now)

    def on_presence(self, _topic: str, envelope: Envelope | None) -> None:
        """Presence of a TAS node: where it speaks SIP. One that is gone keeps its address: it may come back."""
        if envelope is None or envelope.src == self.bus.node:
            return
        host, _, port = self._presences.decode(envelope.body).sip_address.rpartition(":")
        if port.isdigit():
            self.peers[envelope.src] = (host, int(port))

    def is_peer(self, address: Address) -> bool:
        """Whether a SIP address is another node's: the edge lets phones through to these only."""
        return address in self.peers.values()

    def snapshot(self, now: float) -> Snapshot:
        """All a broker must know of this node."""
        calls = self.control.calls.values()
        queued = [queued_event(call, now) for call in calls if call.state in (table.QUEUED, table.OFFERING)]
        offers = [
            OfferReport(call.offer.offer, call.uid, call.offer.agent, OfferResult.RINGING)
            for call in calls
            if call.offer is not None
        ]
        agents = [agent_call for call in calls for agent_call in agent_calls(call)]
        return Snapshot(self.registrar.bindings.all_own(), queued, agents, offers)

    def _publish_binding(self, binding: Binding) -> None:
        topic = topics.binding(binding.node, binding.aor, topic_key(contact_key(binding)))
        self.bus.publish(topic, binding, retain=True)

    def _collect(self, now: float) -> None:
        for event in self.registrar.take_events():
            self._outbox.append(event)
            self._flush_at = now
            if isinstance(event, PhoneRegistered):
                self._publish_binding(event.binding)
            else:
                binding = event.binding
                self.bus.clear(topics.binding(binding.node, binding.aor, topic_key(contact_key(binding))))
        for told in self.control.take_bus_events():
            self._outbox.append(told)
            due = now + LAZY_FLUSH_S if isinstance(told, _LAZY) else now
            if self._flush_at is None or due < self._flush_at:
                self._flush_at = due

    def flush(self, now: float) -> None:
        """Publish what is due; called once per turn of the loop."""
        self._collect(now)
        if self._outbox and self._flush_at is not None and self._flush_at <= now:
            events, self._outbox, self._flush_at = self._outbox, [], None
            self.bus.publish(topics.node_events(self.bus.node), EventBatch(events))

    # Time.

    def next_timeout(self) -> float:
        """When handle_timeout is due."""
        due = self._slow_due
        flush_at, calls = self._flush_at, self.control.next_timeout()
        if flush_at is not None and flush_at < due:
            due = flush_at
        return calls if calls is not None and calls < due else due

    def _look_ahead(self) -> float:
        """The soonest deadline of what is looked at every REPORT_INTERVAL_S: none of it sets one sooner than that."""
        pool, registrar, trunks = self.control.pool, self.registrar, self.trunks
        others = (self._report_at, pool.next_timeout(), registrar.next_timeout(), trunks.next_timeout())
        return min(due for due in others if due is not None)

    def handle_timeout(self, now: float) -> None:
        """Run whatever is due."""
        self.control.handle_timeout(now)
        self.control.pool.handle_timeout(now)
        self.registrar.handle_timeout(now)
        for trunk in self.trunks.take_due(now):
            self._send_options(trunk, now)
        if now >= self._report_at:
            self._report_at = now + REPORT_INTERVAL_S
            self.registrar.end_lost_flows()
            self.control.tell(self.report())
            state = "draining" if self.control.draining else "up"
            self.bus.publish(topics.heartbeat("tas", self.bus.node), self._presence(state))
        self._slow_due = self._look_ahead()
        self.flush(now)

    def report(self) -> NodeReport:
        """Load, for placement and the HTTP API."""
        media = [link.view() for link in self.control.pool.links]
        registrations = len(self.registrar.bindings)
        return NodeReport(len(self.control.calls), self.control.draining, registrations, media)

    def counts(self) -> dict[str, int]:
        """What is alive: all zero when all calls are over and the timers have run out."""
        return self.layer.counts() | self.control.leg_counts() | {"options": len(self._options)}
