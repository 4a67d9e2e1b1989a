"""The ACD engine: node events, requests of people and time in; commands for nodes and activity rows out.

At any time a queue has waiting calls or ready agents that fit each other, never both: a call that enters takes the
best agent at once, an agent who becomes Ready takes the longest waiting call of its weightiest queue.
"""

from __future__ import annotations

from agentbroker.acd.agent_calls import AgentCalls
from agentbroker.acd.agents import LOGGED_OUT, Agent
from agentbroker.acd.availability import Availability
from agentbroker.acd.logons import Logons
from agentbroker.acd.matching import Matching
from agentbroker.acd.offers import Offers
from agentbroker.acd.output import Activity, Output
from agentbroker.acd.policy import STRATEGIES
from agentbroker.acd.queues import Queue, Waiting, WaitingCall
from agentbroker.placement import Placement
from common.contracts.agents import Origin
from common.contracts.calls import (
    AgentCall,
    CallDequeued,
    CallEnded,
    CallQueued,
    NodeCommand,
    NodeEvent,
    OfferReport,
    PhoneRegistered,
    PhoneUnregistered,
    QueueRefused,
    Snapshot,
)
from common.service.directory import AgentEntry, QueueEntry


class AcdEngine:
    """All agents and queues."""

    def __init__(
        self, agents: dict[str, AgentEntry], queues: dict[str, QueueEntry], *, ready_at_logon: bool, now: float
    ) -> None:
        self.agents = {number: Agent(number, entry, now) for number, entry in agents.items()}
        self.queues = {name: Queue(name, entry, STRATEGIES[entry.strategy]) for name, entry in queues.items()}
        for number, entry in agents.items():
            for name in entry.queues:
                if name in self.queues:
                    self.queues[name].members.setdefault(number, len(self.queues[name].members))
        self.waiting = Waiting(self.queues)
        self._output = Output()
        self.matching = Matching(self.queues, self._output)
        self._availability = Availability(self._output, self.matching.changed)
        self.logons = Logons(self.agents, Placement(), self._availability, self.matching, ready_at_logon)
        self._availability.log_off = self.logons.log_off
        self.offers = Offers(self.queues, self.waiting, self._output, self._availability, self.matching.find_agent)
        self.matching.offer = self.offers.make
        self._agent_calls = AgentCalls(self.agents, self.queues, self._availability, self._taken)
        self._handlers = {
            CallQueued: self._call_queued,
            CallDequeued: self._call_dequeued,
            OfferReport: self.offers.report,
            AgentCall: self._agent_calls.report,
            CallEnded: self._call_ended,
            Snapshot: self._snapshot,
        }

    # In.

    def receive_event(self, node: str, event: NodeEvent, now: float) -> None:
        """An event of a TAS."""
        if isinstance(event, PhoneRegistered):
            self.logons.registered(event.binding, now)
        elif isinstance(event, PhoneUnregistered):
            self.logons.unregistered(event.binding, now)
        else:
            handler = self._handlers.get(type(event))
            if handler is not None:
                handler(node, event, now)  # type: ignore[operator]

    def set_state(self, agent: Agent, ready: bool, reason: str, origin: Origin, now: float) -> None:
        """A person asks for Ready or NotReady; during a call it is remembered for afterwards."""
        self._availability.set_state(agent, ready, reason, origin, now)

    def set_nodes(self, nodes: set[str], now: float) -> None:
        """The nodes that may serve agents."""
        with self.matching.held(now):
            self.logons.set_nodes(nodes, now)

    def node_lost(self, node: str, now: float) -> None:
        """A TAS died: its waiting calls are gone, its offers and its calls with agents over."""
        with self.matching.held(now):
            for call in self.waiting.of_node(node):
                self._remove_call(call, now)
            self._agent_calls.replace(node, [], now)
            self.logons.node_lost(node, now)

    def next_timeout(self) -> float | None:
        """When a lease, a wrap-up or a pause ends."""
        return self._output.deadlines.next()

    def handle_timeout(self, now: float) -> None:
        """Act on what is due."""
        while (due := self._output.deadlines.take_due(now)) is not None:
            kind, name = due
            if kind == "lease":
                self.offers.lease_over(name, now)
            elif kind == "wrap":
                self._availability.wrap_over(self.agents[name], now)
            elif name in self.waiting.calls:
                call = self.waiting.calls[name]
                self.matching.find_agent(self.queues[call.queue], call, now)

    # Out.

    def take_commands(self) -> list[tuple[str, NodeCommand]]:
        """(node, command) in order."""
        commands, self._output.commands = self._output.commands, []
        return commands

    def take_activity(self) -> list[Activity]:
        """Every change of an agent since the last call."""
        activity, self._output.activity = self._output.activity, []
        return activity

    def held(self) -> dict[str, int]:
        """What is in memory, outdated entries included, for the assertions that it stays bounded."""
        return {
            "waiting": len(self.waiting.calls),
            "offers": len(self.offers),
            "heaps": sum(queue.held for queue in self.queues.values()),
            "deadlines": self._output.deadlines.held,
        }

    # Calls.

    def _call_queued(self, node: str, event: CallQueued, now: float) -> None:
        known = self.waiting.calls.get(event.call_uid)
        if known is not None and known.queue == event.queue and known.node == node:
            return
        refusal = self._why_not(self.queues.get(event.queue))
        if refusal:
            self._output.commands.append((node, QueueRefused(event.call_uid, event.queue, refusal)))
        if known is not None:
            self._remove_call(known, now)
        if not refusal:
            self._enter(node, event, now)

    def _enter(self, node: str, event: CallQueued, now: float) -> None:
        call = WaitingCall(event.call_uid, event.queue, node, event.caller, now - event.waited_s)
        self.waiting.enter(call)
        self.matching.find_agent(self.queues[event.queue], call, now)

    def _why_not(self, queue: Queue | None) -> str:
        if queue is None:
            return "unknown queue"
        if queue.entry.maxlen and len(queue.waiting) >= queue.entry.maxlen:
            return "full"
        if not queue.entry.joinempty and all(self.agents[number].state is LOGGED_OUT for number in queue.members):
            return "no agent is logged on"
        return ""

    def _call_dequeued(self, _node: str, event: CallDequeued, now: float) -> None:
        call = self.waiting.calls.get(event.call_uid)
        if call is not None and call.queue == event.queue:
            self.queues[call.queue].stats.count_abandoned(now - call.entered_at)
            self._remove_call(call, now)

    def _call_ended(self, _node: str, event: CallEnded, now: float) -> None:
        call = self.waiting.calls.get(event.call_uid)
        if call is not None:
            self._remove_call(call, now)

    def _remove_call(self, call: WaitingCall, now: float) -> None:
        self.waiting.leave(call)
        self._output.deadlines.drop("retry", call.call_uid)
        if call.offer:
            self.offers.over(call.offer, now)

    def _taken(self, call_uid: str, agent: Agent, now: float) -> None:
        call = self.waiting.calls.get(call_uid)
        if call is not None:
            self.offers.taken(call, agent, now)

    # A node's whole truth.

    def _snapshot(self, node: str, event: Snapshot, now: float) -> None:
        with self.matching.held(now):
            self._agent_calls.replace(node, event.agent_calls, now)
            waits = {str(queued.call_uid): queued for queued in event.queued if queued.queue in self.queues}
            for call in self.waiting.of_node(node):
                if call.call_uid not in waits or waits[call.call_uid].queue != call.queue:
                    self._remove_call(call, now)
            for queued in waits.values():
                if queued.call_uid not in self.waiting.calls:  # no maxlen, no joinempty: they are in already
                    self._enter(node, queued, now)
            self.offers.replace(node, event.offers, self.agents, now)
            self.logons.replace(node, event.bindings, now)
