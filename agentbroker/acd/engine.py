"""The ACD engine: node events, requests of people and time in; commands for nodes and activity rows out.

At any time a queue has waiting calls or ready agents that fit each other, never both: a call that enters takes the
best agent at once, an agent who becomes Ready takes the longest waiting call of its weightiest queue.
"""

from __future__ import annotations

import heapq

from agentbroker.acd.agent_calls import AgentCalls
from agentbroker.acd.agents import BUSY, LOGGED_OUT, READY, TALKING, Agent, Event
from agentbroker.acd.logons import Logons
from agentbroker.acd.offers import Offers
from agentbroker.acd.output import Output
from agentbroker.acd.policy import STRATEGIES
from agentbroker.acd.queues import Queue, WaitingCall
from agentbroker.placement import Placement
from common.contracts.agents import AgentState, Origin
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
                    self.queues[name].members.append(number)
        self.logons = Logons(self.agents, Placement(), self, ready_at_logon)
        self._output = Output()
        self.offers = Offers(self.queues, self._output, self.changed, self._find_agent)
        self._agent_calls = AgentCalls(self.agents, self.queues, self._output, self.changed)
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
        event = Event.SET_READY if ready else Event.SET_NOT_READY
        if agent.state in BUSY:
            agent.pending = (event, reason, origin)
        elif agent.step(event, now, reason, origin):
            if ready:
                agent.idle_since = now
            self.changed(agent, now)

    def node_lost(self, node: str, now: float) -> None:
        """A TAS died: its waiting calls are gone, its offers over."""
        for queue in self.queues.values():
            for call in [call for call in queue.waiting.values() if call.node == node]:
                self._remove_call(queue, call, now)
        for agent in self.agents.values():
            for call_uid in [uid for uid in agent.calls if uid.rpartition("-")[0].rpartition("-")[0] == node]:
                self._agent_calls.left(agent, call_uid, now)
        self.logons.node_lost(node, now)

    def next_timeout(self) -> float | None:
        """When a lease, a wrap-up or a pause ends."""
        return self._output.deadlines[0][0] if self._output.deadlines else None

    def handle_timeout(self, now: float) -> None:
        """Act on what is due."""
        while self._output.deadlines and self._output.deadlines[0][0] <= now:
            _, kind, name, token = heapq.heappop(self._output.deadlines)
            if kind == "lease":
                self.offers.lease_over(name, now)
            elif kind == "wrap":
                self._agent_calls.wrap_over(self.agents[name], token, now)
            else:
                self._retry(name, now)

    # Out.

    def take_commands(self) -> list[tuple[str, NodeCommand]]:
        """(node, command) in order."""
        commands, self._output.commands = self._output.commands, []
        return commands

    def take_changed(self) -> list[Agent]:
        """Agents whose state changed, a row of activity each."""
        changed, self._output.changed = self._output.changed, []
        return changed

    # Calls.

    def _call_queued(self, node: str, event: CallQueued, now: float) -> None:
        queue = self.queues.get(event.queue)
        refusal = self._why_not(queue)
        if queue is None or refusal:
            self._output.commands.append((node, QueueRefused(event.call_uid, event.queue, refusal)))
            return
        if event.call_uid in queue.waiting:
            return
        call = WaitingCall(event.call_uid, event.queue, node, event.caller, now - event.waited_s)
        queue.enter(call)
        self._find_agent(queue, call, now)

    def _why_not(self, queue: Queue | None) -> str:
        if queue is None:
            return "unknown queue"
        if queue.entry.maxlen and len(queue.waiting) >= queue.entry.maxlen:
            return "full"
        empty = all(self.agents[number].state is LOGGED_OUT for number in queue.members)
        return "no agent is logged on" if empty and not queue.entry.joinempty else ""

    def _call_dequeued(self, _node: str, event: CallDequeued, now: float) -> None:
        queue = self.queues.get(event.queue)
        call = queue.waiting.get(event.call_uid) if queue is not None else None
        if queue is not None and call is not None:
            queue.stats.abandoned += 1
            self._remove_call(queue, call, now)

    def _remove_call(self, queue: Queue, call: WaitingCall, now: float) -> None:
        queue.leave(call.call_uid)
        if call.offer:
            self.offers.over(call.offer, Event.RELEASED, "", now)

    def _call_ended(self, _node: str, event: CallEnded, now: float) -> None:
        queue = self.queues.get(event.queue)
        call = queue.waiting.get(event.call_uid) if queue is not None else None
        if queue is not None and call is not None:
            self._remove_call(queue, call, now)

    def _find_agent(self, queue: Queue, call: WaitingCall, now: float) -> None:
        if call.offer or call.removed or call.not_before > now:
            return
        agent = queue.take_agent(call)
        if agent is not None:
            self.offers.make(queue, call, agent, now)

    def _find_call(self, agent: Agent, now: float) -> None:
        best: tuple[tuple[float, float], Queue, WaitingCall] | None = None
        for name in agent.queues:
            queue = self.queues.get(name)
            call = queue.head(agent, now) if queue is not None else None
            if queue is None or call is None:
                continue
            rank = (-queue.entry.weight, call.entered_at)
            if best is None or rank < best[0]:
                best = (rank, queue, call)
        if best is not None:
            self.offers.make(best[1], best[2], agent, now)

    def _retry(self, call_uid: str, now: float) -> None:
        for queue in self.queues.values():
            call = queue.waiting.get(call_uid)
            if call is not None:
                self._find_agent(queue, call, now)

    # Agents.

    def changed(self, agent: Agent, now: float) -> None:
        """An agent's state is another one: note it, and use an agent who is Ready."""
        self._output.changed.append(agent)
        if agent.state is READY:
            self._find_call(agent, now)
        if agent.state is READY:  # still: no call waits
            for name in agent.queues:
                if name in self.queues:
                    self.queues[name].ready(agent)

    # A node's whole truth.

    def _snapshot(self, node: str, event: Snapshot, now: float) -> None:
        self.logons.replace(node, event.bindings, now)
        for agent_call in event.agent_calls:
            self._agent_calls.report(node, agent_call, now)
            agent = self.agents.get(agent_call.agent)
            if agent is not None and agent_call.queue and agent.state is AgentState.READY:
                agent.state = TALKING
        known = {queued.call_uid for queued in event.queued}
        for queue in self.queues.values():
            for call in [call for call in queue.waiting.values() if call.node == node and call.call_uid not in known]:
                self._remove_call(queue, call, now)
        for queued in event.queued:
            self._call_queued(node, queued, now)
