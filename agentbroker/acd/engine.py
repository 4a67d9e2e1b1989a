"""The ACD engine: node events, requests of people and time in; commands for nodes and activity rows out.

At any time a queue has waiting calls or ready agents that fit each other, never both: a call that enters takes the
best agent at once, an agent who becomes Ready takes the longest waiting call of its weightiest queue.
"""

from __future__ import annotations

import heapq
from typing import Final

from agentbroker.acd.agents import BUSY, FAILURES, LOGGED_OUT, READY, RESERVED, TALKING, WRAP_UP, Agent, Event
from agentbroker.acd.logons import Logons
from agentbroker.acd.policy import STRATEGIES
from agentbroker.acd.queues import Queue, WaitingCall
from agentbroker.acd.stats import QueueView
from agentbroker.placement import Placement
from common.contracts.agents import AgentState, Origin, SystemReason
from common.contracts.calls import (
    AgentCall,
    AgentCallPhase,
    CallDequeued,
    CallEnded,
    CallQueued,
    NodeCommand,
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
from common.service.directory import AgentEntry, QueueEntry

LEASE_MARGIN_S: Final = 5.0
"""An offer's lease is the ring time and this: a node that says nothing by then is not going to."""


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
        self.epoch = 0
        self._offers: dict[str, tuple[WaitingCall, Agent]] = {}
        self._offer_count = 0
        self._commands: list[tuple[str, NodeCommand]] = []
        self._activity: list[Agent] = []
        self._deadlines: list[tuple[float, str, str, int]] = []
        self._handlers = {
            CallQueued: self._call_queued,
            CallDequeued: self._call_dequeued,
            OfferReport: self._offer_report,
            AgentCall: self._agent_call,
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
                self._call_left_agent(agent, call_uid, now)
        self.logons.node_lost(node, now)

    def next_timeout(self) -> float | None:
        """When a lease, a wrap-up or a pause ends."""
        return self._deadlines[0][0] if self._deadlines else None

    def handle_timeout(self, now: float) -> None:
        """Act on what is due."""
        while self._deadlines and self._deadlines[0][0] <= now:
            _, kind, name, token = heapq.heappop(self._deadlines)
            if kind == "lease":
                self._lease_over(name, now)
            elif kind == "wrap":
                self._wrap_over(self.agents[name], token, now)
            else:
                self._retry(name, now)

    # Out.

    def take_commands(self) -> list[tuple[str, NodeCommand]]:
        """(node, command) in order."""
        commands, self._commands = self._commands, []
        return commands

    def take_changed(self) -> list[Agent]:
        """Agents whose state changed, a row of activity each."""
        changed, self._activity = self._activity, []
        return changed

    def queue_view(self, queue: Queue, now: float) -> QueueView:
        """A queue for the HTTP API."""
        members = [self.agents[number] for number in queue.members]
        stats = queue.stats
        return QueueView(
            queue=queue.name,
            strategy=queue.entry.strategy,
            waiting=len(queue.waiting),
            oldest_s=round(queue.oldest_s(now), 3),
            agents=sum(agent.state is not LOGGED_OUT for agent in members),
            ready=sum(agent.state is READY for agent in members),
            talking=sum(queue.name in agent.calls.values() for agent in members),
            answered=stats.answered,
            abandoned=stats.abandoned,
            average_wait_s=round(stats.average_wait_s, 3),
            servicelevel_s=stats.level_s,
            servicelevel_percent=round(stats.level_percent(with_abandoned=False), 1),
            servicelevel2_percent=round(stats.level_percent(with_abandoned=True), 1),
        )

    # Calls.

    def _call_queued(self, node: str, event: CallQueued, now: float) -> None:
        queue = self.queues.get(event.queue)
        refusal = self._why_not(queue)
        if queue is None or refusal:
            self._commands.append((node, QueueRefused(event.call_uid, event.queue, refusal)))
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
            self._offer_over(call.offer, Event.RELEASED, "", now)

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
            self._offer(queue, call, agent, now)

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
            self._offer(best[1], best[2], agent, now)

    # Offers.

    def _offer(self, queue: Queue, call: WaitingCall, agent: Agent, now: float) -> None:
        self._offer_count += 1
        offer = f"{self.epoch}.{self._offer_count}"
        call.offer, call.agent, agent.offer = offer, agent.number, offer
        self._offers[offer] = (call, agent)
        agent.step(Event.OFFERED, now)
        self._activity.append(agent)
        ring_s = queue.entry.timeout
        self._commands.append((call.node, Offer(OfferId(offer), CallUid(call.call_uid), agent.number, ring_s)))
        heapq.heappush(self._deadlines, (now + ring_s + LEASE_MARGIN_S, "lease", offer, 0))

    def _offer_report(self, node: str, event: OfferReport, now: float) -> None:
        known = self._offers.get(event.offer)
        if known is None:
            return
        call, agent = known
        if event.result is OfferResult.RINGING:
            if agent.step(Event.RINGS, now):
                self._activity.append(agent)
        elif event.result is OfferResult.ANSWERED:
            self._answered(event.offer, call, agent, now)
        elif event.result is OfferResult.REFUSED:
            call.not_before = now + self.queues[call.queue].entry.retry
            heapq.heappush(self._deadlines, (call.not_before, "retry", call.call_uid, 0))
            self._offer_over(event.offer, Event.RELEASED, "", now)
        elif event.result is OfferResult.CALLER_GONE:
            call.not_before = float("inf")  # CallDequeued follows
            self._offer_over(event.offer, Event.RELEASED, "", now)
        else:
            self._offer_over(event.offer, Event.FAILED, FAILURES[event.result], now)

    def _answered(self, offer: str, call: WaitingCall, agent: Agent, now: float) -> None:
        queue = self.queues[call.queue]
        queue.leave(call.call_uid)
        queue.stats.count_answered(now - call.entered_at)
        del self._offers[offer]
        agent.offer = ""
        agent.calls[call.call_uid] = call.queue
        agent.calls_taken += 1
        agent.step(Event.ANSWERS, now)
        self._activity.append(agent)

    def _offer_over(self, offer: str, event: Event, reason: str, now: float) -> None:
        """The agent goes on, then the call looks for the next one (in this order: it may be the same agent)."""
        call, agent = self._offers.pop(offer)
        call.offer = call.agent = agent.offer = ""
        if agent.step(event, now, reason):
            agent.settle(now)
            self.changed(agent, now)
        self._find_agent(self.queues[call.queue], call, now)

    def _lease_over(self, offer: str, now: float) -> None:
        known = self._offers.get(offer)
        if known is not None:
            call, agent = known
            self._commands.append((call.node, OfferCancel(OfferId(offer), CallUid(call.call_uid))))
            reason = SystemReason.PHONE_DOWN if agent.state is RESERVED else SystemReason.RNA
            self._offer_over(offer, Event.FAILED, reason, now)

    def _retry(self, call_uid: str, now: float) -> None:
        for queue in self.queues.values():
            call = queue.waiting.get(call_uid)
            if call is not None:
                self._find_agent(queue, call, now)

    # Agents.

    def _agent_call(self, _node: str, event: AgentCall, now: float) -> None:
        agent = self.agents.get(event.agent)
        if agent is None:
            return
        if event.phase is AgentCallPhase.ENDED:
            self._call_left_agent(agent, event.call_uid, now)
            return
        agent.calls.setdefault(event.call_uid, event.queue)
        if agent.state is LOGGED_OUT:
            return
        if agent.state not in BUSY:
            agent.resume = (agent.state, agent.reason, agent.origin)
        step = Event.CALL_RINGS if event.phase is AgentCallPhase.RINGING else Event.CALL_UP
        if agent.step(step, now):
            self._activity.append(agent)

    def _call_left_agent(self, agent: Agent, call_uid: str, now: float) -> None:
        queue_name = agent.calls.pop(call_uid, None)
        if queue_name is None or agent.calls or agent.offer:
            return
        queue = self.queues.get(queue_name)
        wrap_s = queue.entry.wrapuptime if queue is not None else 0.0
        if queue is not None and wrap_s and agent.step(Event.QUEUE_CALL_OVER, now):
            self._activity.append(agent)
            heapq.heappush(self._deadlines, (now + wrap_s, "wrap", agent.number, agent.token))
            if not agent.devices:
                agent.settle(now)
            return
        if agent.step(Event.CALL_OVER, now):
            if queue is not None:
                agent.idle_since = now
            agent.settle(now)
            self.changed(agent, now)

    def _wrap_over(self, agent: Agent, token: int, now: float) -> None:
        if agent.state is WRAP_UP and agent.token == token:
            agent.step(Event.WRAP_OVER, now)
            agent.idle_since = now
            agent.settle(now)
            self.changed(agent, now)

    def changed(self, agent: Agent, now: float) -> None:
        """An agent's state is another one: note it, and use an agent who is Ready."""
        self._activity.append(agent)
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
            self._agent_call(node, agent_call, now)
            agent = self.agents.get(agent_call.agent)
            if agent is not None and agent_call.queue and agent.state is AgentState.READY:
                agent.state = TALKING
        known = {queued.call_uid for queued in event.queued}
        for queue in self.queues.values():
            for call in [call for call in queue.waiting.values() if call.node == node and call.call_uid not in known]:
                self._remove_call(queue, call, now)
        for queued in event.queued:
            self._call_queued(node, queued, now)
