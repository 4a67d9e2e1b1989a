"""Brokers on a bus in memory, with TAS nodes that are spoken for."""

from __future__ import annotations

import msgspec

from agentbroker.broker import Broker
from agentbroker.config import BrokerConfig, BrokerSettings
from agentbroker.election import Election
from common.contracts import topics
from common.contracts.calls import CommandBatch, EventBatch, NodeCommand, NodeEvent, Snapshot
from common.contracts.envelopes import Envelope, Presence
from common.service.bus.memory import MemoryBus, MemoryHub
from common.service.directory import QueueEntry
from tests.unit.agentbroker.acd.support import agent_entry, phone


def make_config(node: str = "broker-1", agents: int = 2) -> BrokerConfig:
    """Some agents of one queue."""
    entries = {str(1001 + number): agent_entry("support") for number in range(agents)}
    return BrokerConfig(BrokerSettings(node=node), entries, {"support": QueueEntry()})


class TasEnd:
    """A TAS node's end of the bus: says what a test tells it to, keeps the commands it gets."""

    def __init__(self, hub: MemoryHub, node: str = "tas-1", incarnation: str = "a") -> None:
        self.node = node
        self.bus = MemoryBus(hub, node, incarnation)
        self.commands: list[tuple[int, NodeCommand]] = []
        """(epoch, command)."""
        self._hub = hub
        self.bus.subscribe(topics.node_commands(node), self._on_commands)
        self.bus.connect()

    def _on_commands(self, _topic: str, envelope: Envelope | None) -> None:
        assert envelope is not None
        batch = msgspec.json.decode(envelope.body, type=CommandBatch)
        self.commands += [(envelope.epoch, command) for command in batch.commands]

    def beat(self, state: str = "up") -> None:
        """Say that the node lives."""
        presence = Presence(self.node, "tas", self.bus.incarnation, state, http="127.0.0.1:9101")
        self.bus.publish(topics.heartbeat("tas", self.node), presence)
        self._hub.deliver()

    def say(self, *events: NodeEvent) -> None:
        """One batch of events."""
        self.bus.publish(topics.node_events(self.node), EventBatch(list(events)))
        self._hub.deliver()

    def lose(self, *events: NodeEvent) -> None:
        """One batch that is lost on the way: its number is used all the same."""
        self.bus.disconnect()
        self.bus.publish(topics.node_events(self.node), EventBatch(list(events)))
        self.bus.connect()

    def snapshot(self, *agents: str) -> None:
        """A snapshot with these agents' phones and nothing else."""
        self.say(Snapshot([phone(agent, self.node) for agent in agents], [], [], []))

    def taken(self) -> list[tuple[int, NodeCommand]]:
        """Commands since the last look."""
        commands, self.commands = self.commands, []
        return commands


class BrokerEnd:
    """A broker with its clock; its lease is renewed as time passes unless a test says otherwise."""

    def __init__(self, hub: MemoryHub, node: str = "broker-1", agents: int = 2) -> None:
        self.now = 100.0
        self.hub = hub
        self.bus = MemoryBus(hub, node, "x")
        self.election = Election(node)
        self.broker = Broker(make_config(node, agents), self.bus, self.election, self.now)
        self.bus.subscribe(topics.ALL_PRESENCE, lambda topic, seen: self.broker.on_presence(topic, seen, self.now))
        self.bus.subscribe(topics.ALL_HEARTBEATS, lambda topic, seen: self.broker.on_presence(topic, seen, self.now))
        self.bus.subscribe(topics.ALL_NODE_EVENTS, lambda topic, seen: self.broker.on_events(topic, seen, self.now))
        self.bus.connect()

    def lead(self, epoch: int = 3) -> None:
        """The lease was taken."""
        self.election.took(epoch, self.now)
        self.broker.lead(epoch, {}, self.now)
        self.flush()

    def flush(self) -> None:
        """The end of a turn."""
        self.broker.flush(self.now)
        self.hub.deliver()

    def wait(self, seconds: float, *, renew: bool = True) -> None:
        """Let time pass, a deadline at a time."""
        until = self.now + seconds
        while True:
            if renew and self.election.leading:
                self.election.renewed(True, self.now)
            due = self.broker.next_timeout()
            step = min(until, self.now + 0.5)
            if due is not None and due <= step:
                self.now = max(due, self.now)
                self.broker.handle_timeout(self.now)
                self.flush()
                assert self.broker.next_timeout() != due, "a deadline that stays is a loop that spins"
            elif step >= until:
                self.now = until
                return
            else:
                self.now = step
