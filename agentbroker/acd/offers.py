"""Offers: a waiting call presented to one agent, from the command to the node until the node's last report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agentbroker.acd.agents import FAILURES, RESERVED, Agent, Event
from agentbroker.acd.output import Output
from agentbroker.acd.queues import Queue, WaitingCall
from common.contracts.agents import SystemReason
from common.contracts.calls import Offer, OfferCancel, OfferReport, OfferResult
from common.contracts.ids import CallUid, OfferId

LEASE_MARGIN_S: Final = 5.0
"""An offer's lease is the ring time and this: a node that says nothing by then is not going to."""


class Offers:
    """All open offers. `changed(agent, now)` and `find_agent(queue, call, now)` are the engine's."""

    def __init__(
        self,
        queues: dict[str, Queue],
        output: Output,
        changed: Callable[[Agent, float], None],
        find_agent: Callable[[Queue, WaitingCall, float], None],
    ) -> None:
        self.epoch = 0
        self._queues = queues
        self._output = output
        self._changed = changed
        self._find_agent = find_agent
        self._open: dict[str, tuple[WaitingCall, Agent]] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._open)

    def make(self, queue: Queue, call: WaitingCall, agent: Agent, now: float) -> None:
        """Reserve the agent and tell the call's node to ring."""
        self._count += 1
        offer = f"{self.epoch}.{self._count}"
        call.offer, call.agent, agent.offer = offer, agent.number, offer
        self._open[offer] = (call, agent)
        agent.step(Event.OFFERED, now)
        self._output.changed.append(agent)
        ring_s = queue.entry.timeout
        command = Offer(OfferId(offer), CallUid(call.call_uid), agent.number, ring_s)
        self._output.commands.append((call.node, command))
        self._output.at(now + ring_s + LEASE_MARGIN_S, "lease", offer)

    def report(self, _node: str, event: OfferReport, now: float) -> None:
        """What became of an offer at its node."""
        known = self._open.get(event.offer)
        if known is None:
            return
        call, agent = known
        if event.result is OfferResult.RINGING:
            if agent.step(Event.RINGS, now):
                self._output.changed.append(agent)
        elif event.result is OfferResult.ANSWERED:
            self._answered(event.offer, call, agent, now)
        elif event.result is OfferResult.REFUSED:
            call.not_before = now + self._queues[call.queue].entry.retry
            self._output.at(call.not_before, "retry", call.call_uid)
            self.over(event.offer, Event.RELEASED, "", now)
        elif event.result is OfferResult.CALLER_GONE:
            call.not_before = float("inf")  # CallDequeued follows
            self.over(event.offer, Event.RELEASED, "", now)
        else:
            self.over(event.offer, Event.FAILED, FAILURES[event.result], now)

    def over(self, offer: str, event: Event, reason: str, now: float) -> None:
        """The agent goes on, then the call looks for the next one (in this order: it may be the same agent)."""
        call, agent = self._open.pop(offer)
        call.offer = call.agent = agent.offer = ""
        if agent.step(event, now, reason):
            agent.settle(now)
            self._changed(agent, now)
        self._find_agent(self._queues[call.queue], call, now)

    def lease_over(self, offer: str, now: float) -> None:
        """The node said nothing: the offer is taken back."""
        known = self._open.get(offer)
        if known is not None:
            call, agent = known
            self._output.commands.append((call.node, OfferCancel(OfferId(offer), CallUid(call.call_uid))))
            reason = SystemReason.PHONE_DOWN if agent.state is RESERVED else SystemReason.RNA
            self.over(offer, Event.FAILED, reason, now)

    def _answered(self, offer: str, call: WaitingCall, agent: Agent, now: float) -> None:
        queue = self._queues[call.queue]
        queue.leave(call.call_uid)
        queue.stats.count_answered(now - call.entered_at)
        del self._open[offer]
        agent.offer = ""
        agent.calls[call.call_uid] = call.queue
        agent.calls_taken += 1
        agent.step(Event.ANSWERS, now)
        self._output.changed.append(agent)
