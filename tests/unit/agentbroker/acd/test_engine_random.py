"""The engine against a model of two TAS nodes that do anything in any order, some of it lost on the way."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agentbroker.acd.agents import BUSY, LOGGED_OUT, READY, RESERVED, RINGING, TALKING, WRAP_UP
from agentbroker.acd.queues import SLACK
from common.contracts.agents import Binding
from common.contracts.calls import (
    AgentCall,
    AgentCallPhase,
    CallDequeued,
    CallEnded,
    CallQueued,
    NodeEvent,
    Offer,
    OfferCancel,
    OfferReport,
    OfferResult,
    PhoneRegistered,
    PhoneUnregistered,
    QueueRefused,
    Snapshot,
)
from common.contracts.ids import CallUid, OfferId
from tests.unit.agentbroker.acd.support import Acd, phone

NODES = ("tas-1", "tas-2")
AGENTS = ("1001", "1002", "1003")
QUEUES: dict[str, dict[str, Any]] = {
    "support": {"wrapuptime": 5.0, "timeout": 10.0},
    "sales": {"wrapuptime": 0.0, "weight": 2, "strategy": "fewestcalls", "retry": 0.0, "maxlen": 4},
    "desk": {"wrapuptime": 3.0, "strategy": "linear", "retry": 2.0, "joinempty": False},
}
FINAL = [OfferResult.NO_ANSWER, OfferResult.BUSY, OfferResult.DECLINED, OfferResult.UNREACHABLE, OfferResult.REFUSED]


class Tas:
    """What a TAS truly has; the engine is told, unless the message is lost."""

    def __init__(self) -> None:
        self.queued: dict[str, str] = {}
        """uid -> queue."""
        self.offers: dict[str, Offer] = {}
        """uid -> the offer whose phone is called."""
        self.talking: dict[str, tuple[str, str]] = {}
        """uid -> (agent, queue)."""
        self.direct: dict[str, tuple[str, AgentCallPhase]] = {}
        """uid -> (agent, phase)."""
        self.bindings: dict[str, Binding] = {}


nodes = st.sampled_from(NODES)
agents = st.sampled_from(AGENTS)


class EngineMachine(RuleBasedStateMachine):
    """Rules are what happens at nodes and at people's desks; invariants are what must hold after each."""

    @initialize()
    def start(self) -> None:
        self.acd = Acd(QUEUES, {"1001": ("support", "sales"), "1002": ("support", "desk"), "1003": tuple(QUEUES)})
        self.nodes = {name: Tas() for name in NODES}
        self.stale: set[str] = set()
        """Nodes of which something was lost: a snapshot is due."""
        self.in_transit: list[tuple[str, Any]] = []
        self.count = 0

    def tell(self, node: str, *events: NodeEvent) -> None:
        """What a TAS says; a broker listens to nobody whose snapshot is due."""
        if node not in self.stale:
            for event in events:
                self.acd.engine.receive_event(node, event, self.acd.now)

    def pick(self, data: st.DataObject, things: dict[str, Any]) -> str:
        return data.draw(st.sampled_from(sorted(things)))

    # Phones and people.

    @rule(node=nodes, agent=agents, transport=st.sampled_from(["udp", "tcp"]), contact=st.sampled_from(["a", "b"]))
    def register(self, node: str, agent: str, transport: Any, contact: str) -> None:
        binding = phone(agent, node, transport=transport, contact=f"sip:{agent}@{contact}.example")
        self.nodes[node].bindings[agent + contact] = binding
        self.tell(node, PhoneRegistered(binding))

    @rule(node=nodes, data=st.data())
    def unregister(self, node: str, data: st.DataObject) -> None:
        if self.nodes[node].bindings:
            key = self.pick(data, self.nodes[node].bindings)
            self.tell(node, PhoneUnregistered(self.nodes[node].bindings.pop(key), last=True))

    @rule(agent=agents, ready=st.booleans(), reason=st.sampled_from(["", "5"]))
    def set_state(self, agent: str, ready: bool, reason: str) -> None:
        self.acd.wish(agent, ready, reason)

    # Calls of queues.

    @rule(node=nodes, queue=st.sampled_from(sorted(QUEUES)), waited=st.sampled_from([0.0, 0.0, 30.0]))
    def queue_call(self, node: str, queue: str, waited: float) -> None:
        self.count += 1
        uid = f"{node}-{self.count:x}-0"
        self.nodes[node].queued[uid] = queue
        self.tell(node, CallQueued(CallUid(uid), queue, "0700", waited))

    @rule(node=nodes, data=st.data())
    def queue_call_again(self, node: str, data: st.DataObject) -> None:
        tas = self.nodes[node]
        if tas.queued:
            uid = self.pick(data, tas.queued)
            self.tell(node, CallQueued(CallUid(uid), tas.queued[uid], "0700", 1.0))

    @rule(node=nodes, data=st.data())
    def abandon(self, node: str, data: st.DataObject) -> None:
        tas = self.nodes[node]
        if not tas.queued:
            return
        uid = self.pick(data, tas.queued)
        queue, offer = tas.queued.pop(uid), tas.offers.pop(uid, None)
        gone = CallDequeued(CallUid(uid), queue, "left"), CallEnded(CallUid(uid), queue)
        if offer is not None:
            self.tell(node, OfferReport(offer.offer, offer.call_uid, offer.agent, OfferResult.CALLER_GONE))
        self.tell(node, *gone)

    # Commands on their way, and what becomes of offers.

    @rule(count=st.integers(1, 5))
    def deliver(self, count: int) -> None:
        for _ in range(min(count, len(self.in_transit))):
            self.obey(*self.in_transit.pop(0))

    def obey(self, node: str, command: Any) -> None:
        tas = self.nodes[node]
        if isinstance(command, Offer):
            if command.call_uid in tas.queued and command.call_uid not in tas.offers:
                tas.offers[command.call_uid] = command
            else:
                refused = OfferReport(command.offer, command.call_uid, command.agent, OfferResult.REFUSED)
                self.tell(node, refused)
        elif isinstance(command, OfferCancel):
            offer = tas.offers.get(command.call_uid)
            if offer is not None and offer.offer == command.offer:
                del tas.offers[command.call_uid]
        elif isinstance(command, QueueRefused) and command.call_uid in tas.queued:
            queue = tas.queued.pop(command.call_uid)
            tas.offers.pop(command.call_uid, None)
            self.tell(node, CallEnded(command.call_uid, queue))

    @rule(node=nodes, data=st.data())
    def phone_rings(self, node: str, data: st.DataObject) -> None:
        if self.nodes[node].offers:
            offer = self.nodes[node].offers[self.pick(data, self.nodes[node].offers)]
            self.tell(node, OfferReport(offer.offer, offer.call_uid, offer.agent, OfferResult.RINGING))

    @rule(node=nodes, data=st.data(), part_first=st.booleans())
    def phone_answers(self, node: str, data: st.DataObject, part_first: bool) -> None:
        tas = self.nodes[node]
        if not tas.offers:
            return
        uid = self.pick(data, tas.offers)
        offer, queue = tas.offers.pop(uid), tas.queued.pop(uid)
        tas.talking[uid] = (offer.agent, queue)
        events: list[NodeEvent] = [
            OfferReport(offer.offer, offer.call_uid, offer.agent, OfferResult.ANSWERED),
            AgentCall(offer.agent, offer.call_uid, AgentCallPhase.TALKING, "0700", queue),
        ]
        self.tell(node, *(reversed(events) if part_first else events))

    @rule(node=nodes, data=st.data(), result=st.sampled_from(FINAL))
    def offer_fails(self, node: str, data: st.DataObject, result: OfferResult) -> None:
        tas = self.nodes[node]
        if tas.offers:
            offer = tas.offers.pop(self.pick(data, tas.offers))
            self.tell(node, OfferReport(offer.offer, offer.call_uid, offer.agent, result))

    @rule(node=nodes, data=st.data())
    def hang_up(self, node: str, data: st.DataObject) -> None:
        tas = self.nodes[node]
        if tas.talking:
            uid = self.pick(data, tas.talking)
            agent, queue = tas.talking.pop(uid)
            ended = AgentCall(agent, CallUid(uid), AgentCallPhase.ENDED, "", queue)
            self.tell(node, ended, CallEnded(CallUid(uid), queue))

    # Direct calls.

    @rule(node=nodes, agent=agents, phase=st.sampled_from([AgentCallPhase.DIALLING, AgentCallPhase.RINGING]))
    def direct_call(self, node: str, agent: str, phase: AgentCallPhase) -> None:
        self.count += 1
        uid = f"{node}-{self.count:x}-d"
        self.nodes[node].direct[uid] = (agent, phase)
        self.tell(node, AgentCall(agent, CallUid(uid), phase))

    @rule(node=nodes, data=st.data(), phase=st.sampled_from([AgentCallPhase.TALKING, AgentCallPhase.ENDED]))
    def direct_call_goes_on(self, node: str, data: st.DataObject, phase: AgentCallPhase) -> None:
        tas = self.nodes[node]
        if not tas.direct:
            return
        uid = self.pick(data, tas.direct)
        agent = tas.direct[uid][0]
        tas.direct[uid] = (agent, phase)
        if phase is AgentCallPhase.ENDED:
            del tas.direct[uid]
        self.tell(node, AgentCall(agent, CallUid(uid), phase))

    # Time, loss, death.

    @rule(seconds=st.sampled_from([0.05, 1.0, 4.0, 20.0]))
    def time_passes(self, seconds: float) -> None:
        self.acd.wait(seconds)

    @rule(node=nodes)
    def bus_loses_something(self, node: str) -> None:
        self.stale.add(node)

    @rule()
    def bus_loses_commands(self) -> None:
        self.collect()
        self.in_transit.clear()
        self.stale.update(NODES)

    @rule(node=nodes)
    def snapshot(self, node: str) -> None:
        tas = self.nodes[node]
        parts = [
            AgentCall(agent, CallUid(uid), AgentCallPhase.TALKING, "0700", queue)
            for uid, (agent, queue) in tas.talking.items()
        ]
        parts += [AgentCall(agent, CallUid(uid), phase) for uid, (agent, phase) in tas.direct.items()]
        queued = [CallQueued(CallUid(uid), queue, "0700", 2.0) for uid, queue in tas.queued.items()]
        offers = [
            OfferReport(OfferId(offer.offer), offer.call_uid, offer.agent, OfferResult.RINGING)
            for offer in tas.offers.values()
        ]
        self.stale.discard(node)
        self.tell(node, Snapshot(list(tas.bindings.values()), queued, parts, offers))

    @rule(node=nodes)
    def node_dies(self, node: str) -> None:
        self.nodes[node] = Tas()
        self.in_transit = [item for item in self.in_transit if item[0] != node]
        self.stale.discard(node)
        self.acd.engine.node_lost(node, self.acd.now)

    @rule(serving=st.sets(nodes))
    def nodes_serve(self, serving: set[str]) -> None:
        self.acd.engine.set_nodes(serving, self.acd.now)

    @rule(node=nodes)
    def leader_changes(self, node: str) -> None:
        """A new leader starts with nothing, hears the nodes one after another, and only then matches."""
        self.collect()
        self.in_transit.clear()
        before = self.acd
        self.acd = Acd(QUEUES, {number: agent.queues for number, agent in before.engine.agents.items()})
        self.acd.now = before.now + 2.0
        self.acd.engine.offers.epoch = before.engine.offers.epoch + 1
        self.acd.engine.matching.hold()
        for name in (node, *(other for other in NODES if other != node)):
            self.snapshot(name)
        self.acd.engine.matching.release(self.acd.now)
        self.everybody_is_as_their_calls_say()

    # What must hold.

    def collect(self) -> None:
        self.in_transit += self.acd.commands()

    def everybody_is_as_their_calls_say(self) -> None:
        """With nothing lost, agents talk exactly when their nodes have calls of theirs."""
        truth: dict[str, set[str]] = {agent: set() for agent in AGENTS}
        for tas in self.nodes.values():
            for uid, (agent, _) in (tas.talking | tas.direct).items():
                truth[agent].add(uid)
        for agent in AGENTS:
            assert set(self.acd.agent(agent).calls) == truth[agent], agent

    @precondition(lambda self: not self.stale)
    @invariant()
    def calls_are_those_of_the_nodes(self) -> None:
        self.everybody_is_as_their_calls_say()
        commands = self.in_transit + self.acd.engine._output.commands
        refused = {command.call_uid for _, command in commands if isinstance(command, QueueRefused)}
        queued = {uid for tas in self.nodes.values() for uid in tas.queued}
        waiting = set(self.acd.engine.waiting.calls)
        assert queued - refused <= waiting <= queued  # a snapshot may bring back one whose refusal is on its way

    @invariant()
    def offers_pair_one_agent_and_one_call(self) -> None:
        engine = self.acd.engine
        by_call = {call.offer: call for call in engine.waiting.calls.values() if call.offer}
        by_agent = {agent.offer: agent for agent in engine.agents.values() if agent.offer}
        assert by_call.keys() == by_agent.keys()
        assert len(by_call) == len(engine.offers)
        for offer, call in by_call.items():
            assert by_agent[offer].number == call.agent

    @invariant()
    def states_follow_from_offers_and_calls(self) -> None:
        for agent in self.acd.engine.agents.values():
            if agent.state is LOGGED_OUT:
                continue
            up = any(part.up for part in agent.calls.values())
            assert (agent.state is TALKING) == up, agent.number
            assert (agent.state is RESERVED) == (bool(agent.offer) and not agent.calls and not agent.offer_rings)
            assert (agent.state is RINGING) == ((agent.offer_rings or bool(agent.calls)) and not up)
            assert (agent.state in BUSY) == agent.engaged, agent.number
            if agent.state not in BUSY:
                assert agent.resume is None
                assert agent.pending is None or agent.state is WRAP_UP

    @invariant()
    def nobody_waits_for_somebody_who_is_ready(self) -> None:
        engine, now = self.acd.engine, self.acd.now
        for queue in engine.queues.values():
            assert [call for call in queue.waiting.values() if call.queue != queue.name] == []
            for call in queue.waiting.values():
                if call.offer or call.not_before > now:
                    continue
                ready = [number for number in queue.members if engine.agents[number].state is READY]
                assert not [number for number in ready if engine.agents[number].devices], call.call_uid

    @invariant()
    def placement_counts_those_who_are_logged_on(self) -> None:
        engine = self.acd.engine
        counts = engine.logons.placement.counts
        for node, count in counts.items():
            assert count == sum(agent.node == node for agent in engine.agents.values()), node
        for agent in engine.agents.values():
            assert agent.state is not LOGGED_OUT or not agent.node, agent.number
            assert agent.state is LOGGED_OUT or agent.node or not counts, agent.number

    @invariant()
    def memory_is_bounded(self) -> None:
        held = self.acd.engine.held()
        queues, calls = len(QUEUES), held["waiting"]
        assert held["heaps"] <= 2 * calls + queues * (2 * len(AGENTS) + 2 * SLACK)
        assert len(self.acd.engine._output.deadlines) <= held["offers"] + len(AGENTS) + calls
        self.collect()

    def teardown(self) -> None:
        """When all is told and all calls end, nothing is left."""
        for node, tas in self.nodes.items():
            tas.queued.clear()
            tas.offers.clear()
            tas.talking.clear()
            tas.direct.clear()
            self.snapshot(node)
        self.acd.assert_at_rest()


EngineMachine.TestCase.settings = settings(
    max_examples=30,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
TestEngineUnderRandomEvents = EngineMachine.TestCase
