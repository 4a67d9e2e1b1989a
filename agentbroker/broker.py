"""An agent broker without its doors: leads or stands by, hears the nodes, runs the ACD. Sans-I/O but for the bus."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from agentbroker.acd.engine import AcdEngine
from agentbroker.acd.logons import Remembered
from agentbroker.cluster import Cluster
from agentbroker.config import BrokerConfig
from agentbroker.election import Election
from common.contracts import topics
from common.contracts.calls import CommandBatch, EventBatch, HangUp, NodeCommand, NodeReport, Snapshot, SnapshotRequest
from common.contracts.envelopes import Envelope, Presence
from common.contracts.ids import CallUid
from common.contracts.topics import DEAD_AFTER_S
from common.service.bus.protocol import Bus

SNAPSHOT_RETRY_S: Final = 1.0
"""A node that owes a snapshot is asked again this often."""
SNAPSHOT_WAIT_S: Final = 2.0
"""A new leader matches nobody before it knows all nodes' truth, or this long: the phone of an agent whose call is on
another node must not ring."""


class Peer(NamedTuple):
    """A broker, this one included, as the bus shows it."""

    presence: Presence
    heard_at: float

    def state(self, now: float) -> str:
        """up | draining | gone, or down when nothing was heard of it for long."""
        return "down" if now - self.heard_at >= DEAD_AFTER_S else self.presence.state


class Broker:
    """One broker process's mind."""

    def __init__(self, config: BrokerConfig, bus: Bus, election: Election, now: float) -> None:
        self.config = config
        self.bus = bus
        self.election = election
        self.cluster = Cluster()
        self.brokers: dict[str, Peer] = {}
        self.engine = self._new_engine(now)
        self._led = False
        self._match_at: float | None = None
        self._ask_at: dict[str, float] = {}
        self._events = msgspec.json.Decoder(EventBatch)
        self._presence = msgspec.json.Decoder(Presence)

    def _new_engine(self, now: float) -> AcdEngine:
        ready = self.config.settings.logon.ready_at_logon
        return AcdEngine(self.config.agents, self.config.queues, ready_at_logon=ready, now=now)

    def lead(self, epoch: int, remembered: dict[str, Remembered], now: float) -> None:
        """We lead: begin with nothing and ask every node for its truth."""
        self.engine = self._new_engine(now)
        self.engine.offers.epoch = epoch
        self.engine.logons.remember(remembered)
        self.engine.set_nodes(self.cluster.serving(), now)
        for node in self.cluster.nodes.values():
            node.needs_snapshot = True
        self._ask_at.clear()
        self._led = True
        self.engine.matching.hold()
        self._match_at = now + SNAPSHOT_WAIT_S
        self._match_when_complete(now)

    def leads(self, now: float) -> bool:
        """Whether we may act; a leader whose lease is over forgets what it knew as one."""
        self.election.check(now)
        if self._led and not self.election.leading:
            self._led, self._match_at = False, None
            self.engine = self._new_engine(now)
        return self.election.leading

    def _match_when_complete(self, now: float) -> None:
        if self._match_at is not None and (self.cluster.complete or now >= self._match_at):
            self._match_at = None
            self.engine.matching.release(now)

    # From the bus.

    def on_presence(self, _topic: str, envelope: Envelope | None, now: float) -> None:
        """Presence, heartbeat or last will of any process."""
        if envelope is None:
            return
        try:
            presence = self._presence.decode(envelope.body)
        except msgspec.DecodeError:
            return
        if presence.role == "tas":
            before = self.cluster.serving()
            self.cluster.receive_presence(presence, now)
            self._react(before, now)
        elif presence.role == "broker":
            self.brokers[presence.node] = Peer(presence, now)

    def on_events(self, _topic: str, envelope: Envelope | None, now: float) -> None:
        """EventBatch of a TAS."""
        if envelope is None:
            return
        node = self.cluster.sequence(envelope)
        if node is None:
            return
        try:
            events = self._events.decode(envelope.body).events
        except msgspec.DecodeError:
            node.needs_snapshot = True  # what it said is lost to us as if the bus had lost it
            return
        leads = self.leads(now)
        for event in events:
            if isinstance(event, NodeReport):
                node.report = event
            elif isinstance(event, Snapshot):
                node.needs_snapshot = False
                self._ask_at.pop(node.name, None)
                if leads:
                    self.engine.receive_event(node.name, event, now)
            elif leads and not node.needs_snapshot:
                self.engine.receive_event(node.name, event, now)
        if leads:
            self._match_when_complete(now)

    # Time.

    def next_timeout(self) -> float | None:
        """When handle_timeout is due."""
        candidates = [self.cluster.next_timeout(), self.engine.next_timeout(), self._match_at, *self._ask_at.values()]
        return min((due for due in candidates if due is not None), default=None)

    def handle_timeout(self, now: float) -> None:
        """Run what is due."""
        before = self.cluster.serving()
        self.cluster.handle_timeout(now)
        self._react(before, now)
        if self.leads(now):
            self.engine.handle_timeout(now)
            self._match_when_complete(now)
        for name in [name for name, due in self._ask_at.items() if due <= now]:
            del self._ask_at[name]

    def _react(self, before: set[str], now: float) -> None:
        serving = self.cluster.serving()
        lost = self.cluster.take_lost()
        if not self.leads(now):
            return
        if serving != before:
            self.engine.set_nodes(serving, now)
        for name in lost:
            self.engine.node_lost(name, now)
        self._match_when_complete(now)

    # Out.

    def flush(self, now: float) -> None:
        """Publish commands; a standby has none."""
        if not self.leads(now):
            return
        by_node: dict[str, list[NodeCommand]] = {}
        for name, node in self.cluster.nodes.items():
            if node.needs_snapshot and node.state != "down" and name not in self._ask_at:
                self._ask_at[name] = now + SNAPSHOT_RETRY_S
                by_node.setdefault(name, []).append(SnapshotRequest())
        for name, command in self.engine.take_commands():
            by_node.setdefault(name, []).append(command)
        for name, commands in by_node.items():
            self.bus.publish(topics.node_commands(name), CommandBatch(commands), epoch=self.election.epoch)

    def hang_up(self, call_uid: str) -> bool:
        """Ask the node of a call to end it; False when its node is unknown or down."""
        node = call_uid.rpartition("-")[0].rpartition("-")[0]
        if node not in self.cluster.nodes or self.cluster.nodes[node].state == "down":
            return False
        command = CommandBatch([HangUp(CallUid(call_uid))])
        self.bus.publish(topics.node_commands(node), command, epoch=self.election.epoch)
        return True
