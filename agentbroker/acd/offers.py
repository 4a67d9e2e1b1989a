"""Offers: a waiting call presented to one agent, from the command to the node until the node's last report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agentbroker.acd.agents import RESERVED, Agent, CallPart
from agentbroker.acd.availability import Availability
from agentbroker.acd.output import Output
from agentbroker.acd.queues import Queue, Waiting, WaitingCall
from common.contracts.agents import SystemReason
from common.contracts.calls import Offer, OfferCancel, OfferReport, OfferResult
from common.contracts.ids import CallUid, OfferId

LEASE_MARGIN_S: Final = 5.0
"""An offer's lease is the ring time and this: a node that says nothing by then is not going to."""
MIN_RETRY_S: Final = 0.1
"""A call its node refused to offer rests at least this long, `retry = 0` included: else the two go round for ever."""

FAILURES: Final = {
    OfferResult.NO_ANSWER: SystemReason.RNA,
    OfferResult.BUSY: SystemReason.REJECTED,
    OfferResult.DECLINED: SystemReason.REJECTED,
    OfferResult.UNREACHABLE: SystemReason.PHONE_DOWN,
}
"""Reason of the NotReady that follows."""


class Offers:
    """All open offers. `find_agent(queue, call, now)` is the engine's."""

    def __init__(
        self,
        queues: dict[str, Queue],
        waiting: Waiting,
        output: Output,
        availability: Availability,
        find_agent: Callable[[Queue, WaitingCall, float], None],
    ) -> None:
        self.epoch = 0
        self._queues = queues
        self._waiting = waiting
        self._output = output
        self._availability = availability
        self._find_agent = find_agent
        self._open: dict[str, tuple[WaitingCall, Agent]] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._open)

    def make(self, queue: Queue, call: WaitingCall, agent: Agent, now: float) -> None:
        """Reserve the agent and tell the call's node to ring."""
        self._count += 1
        offer = f"{self.epoch}.{self._count}"
        self._put(offer, call, agent, now)
        command = Offer(OfferId(offer), CallUid(call.call_uid), agent.number, queue.entry.timeout)
        self._output.commands.append((call.node, command))

    def _put(self, offer: str, call: WaitingCall, agent: Agent, now: float) -> None:
        call.offer, call.agent, agent.offer = offer, agent.number, offer
        self._open[offer] = (call, agent)
        ring_s = self._queues[call.queue].entry.timeout
        self._output.deadlines.set("lease", offer, now + ring_s + LEASE_MARGIN_S)
        self._availability.settle(agent, now)

    def report(self, _node: str, event: OfferReport, now: float) -> None:
        """What became of an offer at its node."""
        known = self._open.get(event.offer)
        if known is None:
            return
        call, agent = known
        if event.result is OfferResult.RINGING:
            agent.offer_rings = True
            self._availability.settle(agent, now)
        elif event.result is OfferResult.ANSWERED:
            self.taken(call, agent, now)
        elif event.result is OfferResult.REFUSED:
            call.not_before = now + max(self._queues[call.queue].entry.retry, MIN_RETRY_S)
            self._output.deadlines.set("retry", call.call_uid, call.not_before)
            self.over(event.offer, now)
        elif event.result is OfferResult.CALLER_GONE:
            call.not_before = float("inf")  # CallDequeued follows
            self.over(event.offer, now)
        else:
            self.over(event.offer, now, FAILURES[event.result])

    def over(self, offer: str, now: float, failed: str = "") -> None:
        """The agent goes on, then the call looks for the next one (in this order: it may be the same agent)."""
        call, agent = self._close(offer)
        self._availability.settle(agent, now, failed)
        self._find_agent(self._queues[call.queue], call, now)

    def _close(self, offer: str) -> tuple[WaitingCall, Agent]:
        call, agent = self._open.pop(offer)
        self._output.deadlines.drop("lease", offer)
        call.offer = call.agent = agent.offer = ""
        agent.offer_rings = False
        return call, agent

    def taken(self, call: WaitingCall, agent: Agent, now: float) -> None:
        """`agent` has the call, by its offer or by one whose lease was over before: any other offer of it is void."""
        other = None
        if call.offer:
            offer = call.offer
            _, other = self._close(offer)
            if other is not agent:
                self._cancel(call.node, offer, call.call_uid)
        queue = self._queues[call.queue]
        self._waiting.leave(call)
        queue.stats.count_answered(now - call.entered_at)
        agent.calls[call.call_uid] = CallPart(call.node, call.queue, up=True)
        agent.calls_taken += 1
        self._availability.settle(agent, now)
        if other is not None and other is not agent:
            self._availability.settle(other, now)

    def lease_over(self, offer: str, now: float) -> None:
        """The node said nothing: the offer is taken back."""
        known = self._open.get(offer)
        if known is not None:
            call, agent = known
            self._cancel(call.node, offer, call.call_uid)
            self.over(offer, now, SystemReason.PHONE_DOWN if agent.state is RESERVED else SystemReason.RNA)

    def _cancel(self, node: str, offer: str, call_uid: str) -> None:
        self._output.commands.append((node, OfferCancel(OfferId(offer), CallUid(call_uid))))

    def replace(self, node: str, reports: list[OfferReport], agents: dict[str, Agent], now: float) -> None:
        """A node's snapshot: these offers are open there and no others.

        One we do not know was made by the last leader: it is ours now, for the agent's phone rings. One the node does
        not know has ended unheard or is on its way: it is taken back, nobody's fault.
        """
        open_there = {report.offer for report in reports}
        for offer, (call, _) in list(self._open.items()):
            if call.node == node and offer not in open_there:
                self._cancel(node, offer, call.call_uid)
                self.over(offer, now)
        for report in reports:
            if report.offer in self._open:
                continue
            waits, agent = self._waiting.calls.get(report.call_uid), agents.get(report.agent)
            if waits is None or agent is None or waits.offer or agent.offer:
                self._cancel(node, report.offer, report.call_uid)
                continue
            agent.offer_rings = report.result is OfferResult.RINGING
            self._put(report.offer, waits, agent, now)
