"""An agent broker on the virtual clock, and the bus with its small delay."""

from __future__ import annotations

from agentbroker.acd.agents import Agent
from agentbroker.acd.logons import Remembered
from agentbroker.broker import Broker
from agentbroker.config import BrokerConfig
from agentbroker.election import Election
from common.contracts import topics
from common.contracts.agents import AgentState
from common.contracts.envelopes import Envelope, Presence
from common.contracts.topics import HEARTBEAT_INTERVAL_S
from common.service.bus.memory import MemoryBus, MemoryHub
from tests.scenarios.support.world import BUS_S, Process, World


class TimedHub(MemoryHub):
    """Delivers BUS_S after a message came."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self._process = Process(world)
        self._planned = False

    def accept(self, topic: str, payload: bytes, retain: bool) -> None:
        super().accept(topic, payload, retain)
        if not self._planned:
            self._planned = True
            self._world.after(BUS_S, self._process, self._deliver)

    def _deliver(self) -> None:
        self._planned = False
        self.deliver()


class BrokerHost(Process):
    """One broker that leads from its start. The election is real; in place of the store each renewal succeeds."""

    def __init__(
        self,
        world: World,
        config: BrokerConfig,
        hub: TimedHub,
        *,
        epoch: int = 1,
        remembered: dict[str, Remembered] | None = None,
    ) -> None:
        super().__init__(world)
        self.hub = hub
        self.name = config.settings.node
        self.incarnation = world.random.randbytes(4).hex()
        self.election = Election(self.name)
        self.bus = MemoryBus(hub, self.name, self.incarnation)
        self.broker = Broker(config, self.bus, self.election, world.now)
        self.history: list[tuple[float, str, AgentState, str]] = []
        """(when, agent, state, reason): what the store's activity rows say."""
        self.alive = True
        self._epoch = epoch
        self._remembered = remembered or {}
        self._beat_at = world.now
        self._subscribe()

    def _subscribe(self) -> None:
        def presence(topic: str, envelope: Envelope | None) -> None:
            self.broker.on_presence(topic, envelope, self.world.now)
            self.world.touch(self)

        def events(topic: str, envelope: Envelope | None) -> None:
            self.broker.on_events(topic, envelope, self.world.now)
            self.world.touch(self)

        self.bus.subscribe(topics.ALL_PRESENCE, presence)
        self.bus.subscribe(topics.ALL_HEARTBEATS, presence)
        self.bus.subscribe(topics.ALL_NODE_EVENTS, events)

    def start(self) -> None:
        """Connect and lead."""
        self.bus.connect()
        self.election.took(self._epoch, self.world.now)
        self.broker.lead(self._epoch, self._remembered, self.world.now)
        self._announce(retain=True)
        self.world.touch(self)

    def die(self) -> None:
        """The process is gone without a word."""
        self.alive = False
        self.hub.leave(self.bus)
        self.bus.connected = False

    def remembered(self) -> dict[str, Remembered]:
        """What BrokerStore.last_states() would give a new leader."""
        last: dict[str, Remembered] = {}
        for _, agent, state, reason in self.history:
            last[agent] = (state, reason, "system")
        kept = (AgentState.READY, AgentState.NOT_READY)
        return {agent: row for agent, row in last.items() if row[0] in kept}

    def _announce(self, *, retain: bool) -> None:
        presence = Presence(
            node=self.name, role="broker", inc=self.incarnation, state="up", leader_epoch=self.election.epoch
        )
        topic = topics.presence if retain else topics.heartbeat
        self.bus.publish(topic("broker", self.name), presence, retain=retain)

    # Process.

    def next_timeout(self) -> float | None:
        if not self.alive:
            return None
        due = self.broker.next_timeout()
        return self._beat_at if due is None else min(due, self._beat_at)

    def handle_timeout(self, now: float) -> None:
        if not self.alive:
            return
        if now >= self._beat_at:
            self.election.renewed(True, now)
            self._beat_at = now + HEARTBEAT_INTERVAL_S
            self._announce(retain=False)
        self.broker.handle_timeout(now)

    def turn(self, now: float) -> None:
        if not self.alive:
            return
        self.broker.flush(now)
        for row in self.broker.engine.take_activity():
            self.history.append((now, row.agent, AgentState(row.state), row.reason))
        self.broker.engine.logons.placement.take_changes()

    # What a scenario looks at.

    def agent(self, number: str) -> Agent:
        return self.broker.engine.agents[number]

    def states_of(self, number: str) -> list[tuple[AgentState, str]]:
        """States the agent went through, with reasons."""
        return [(state, reason) for _, agent, state, reason in self.history if agent == number]

    def waiting(self, queue: str = "support") -> list[str]:
        """Uids of the calls that wait."""
        return list(self.broker.engine.queues[queue].waiting)

    def set_state(self, number: str, ready: bool, reason: str = "") -> None:
        """As POST /v1/agents/{agent}/state does."""
        self.broker.engine.set_state(self.agent(number), ready, reason, "supervisor", self.world.now)
        self.world.touch(self)

    def left_over(self) -> dict[str, object]:
        """What a broker at rest must not have."""
        engine = self.broker.engine
        resting = (AgentState.READY, AgentState.NOT_READY, AgentState.LOGGED_OUT)
        return {
            "offers": len(engine.offers),
            "waiting": sum(len(queue.waiting) for queue in engine.queues.values()),
            "deadlines": engine.next_timeout() is not None,
            "busy": [agent.number for agent in engine.agents.values() if agent.state not in resting],
            "in_calls": [agent.number for agent in engine.agents.values() if agent.calls or agent.offer],
            "pending": [agent.number for agent in engine.agents.values() if agent.pending or agent.resume],
        }
