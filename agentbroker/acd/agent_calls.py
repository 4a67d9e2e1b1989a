"""The calls agents are in, as their nodes report them."""

from __future__ import annotations

from collections.abc import Callable

from agentbroker.acd.agents import Agent, CallPart
from agentbroker.acd.availability import Availability
from agentbroker.acd.queues import Queue
from common.contracts.calls import AgentCall, AgentCallPhase


class AgentCalls:
    """`taken(call_uid, agent, now)` is the engine's: a call of a queue talks to an agent."""

    def __init__(
        self,
        agents: dict[str, Agent],
        queues: dict[str, Queue],
        availability: Availability,
        taken: Callable[[str, Agent, float], None],
    ) -> None:
        self._agents = agents
        self._queues = queues
        self._availability = availability
        self._taken = taken

    def report(self, node: str, event: AgentCall, now: float) -> None:
        """A call rings at an agent, is answered or is over."""
        agent = self._agents.get(event.agent)
        if agent is None:
            return
        if event.phase is AgentCallPhase.ENDED:
            self.left(agent, event.call_uid, now)
            return
        if event.queue and event.phase is AgentCallPhase.TALKING:
            self._taken(event.call_uid, agent, now)
        agent.calls[event.call_uid] = CallPart(node, event.queue, event.phase is not AgentCallPhase.RINGING)
        self._availability.settle(agent, now)

    def left(self, agent: Agent, call_uid: str, now: float) -> None:
        """A call is no longer the agent's."""
        part = agent.calls.pop(call_uid, None)
        if part is None:
            return
        if part.queue in self._queues:
            agent.wrap_s = self._queues[part.queue].entry.wrapuptime
        self._availability.settle(agent, now)

    def replace(self, node: str, reports: list[AgentCall], now: float) -> None:
        """A node's snapshot: agents are in these calls of it and in no others."""
        for report in reports:
            self.report(node, report, now)
        known = {(report.agent, report.call_uid) for report in reports}
        for agent in self._agents.values():
            over = [uid for uid, part in agent.calls.items() if part.node == node and (agent.number, uid) not in known]
            for call_uid in over:
                self.left(agent, call_uid, now)
