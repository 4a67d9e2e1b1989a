"""The calls agents are in, as their nodes report them, and the wrap-up after those of a queue."""

from __future__ import annotations

from collections.abc import Callable

from agentbroker.acd.agents import BUSY, LOGGED_OUT, WRAP_UP, Agent, Event
from agentbroker.acd.output import Output
from agentbroker.acd.queues import Queue
from common.contracts.calls import AgentCall, AgentCallPhase


class AgentCalls:
    """`changed(agent, now)` is the engine's."""

    def __init__(
        self,
        agents: dict[str, Agent],
        queues: dict[str, Queue],
        output: Output,
        changed: Callable[[Agent, float], None],
    ) -> None:
        self._agents = agents
        self._queues = queues
        self._output = output
        self._changed = changed

    def report(self, _node: str, event: AgentCall, now: float) -> None:
        """A call rings at an agent, is answered or is over."""
        agent = self._agents.get(event.agent)
        if agent is None:
            return
        if event.phase is AgentCallPhase.ENDED:
            self.left(agent, event.call_uid, now)
            return
        agent.calls.setdefault(event.call_uid, event.queue)
        if agent.state is LOGGED_OUT:
            return
        if agent.state not in BUSY:
            agent.resume = (agent.state, agent.reason, agent.origin)
        step = Event.CALL_RINGS if event.phase is AgentCallPhase.RINGING else Event.CALL_UP
        if agent.step(step, now):
            self._output.changed.append(agent)

    def left(self, agent: Agent, call_uid: str, now: float) -> None:
        """A call is no longer the agent's; after the last one comes WrapUp, or what was before."""
        queue_name = agent.calls.pop(call_uid, None)
        if queue_name is None or agent.calls or agent.offer:
            return
        queue = self._queues.get(queue_name)
        wrap_s = queue.entry.wrapuptime if queue is not None else 0.0
        if queue is not None and wrap_s and agent.step(Event.QUEUE_CALL_OVER, now):
            self._output.changed.append(agent)
            self._output.at(now + wrap_s, "wrap", agent.number, agent.token)
            if not agent.devices:
                agent.settle(now)
            return
        if agent.step(Event.CALL_OVER, now):
            if queue is not None:
                agent.idle_since = now
            agent.settle(now)
            self._changed(agent, now)

    def wrap_over(self, agent: Agent, token: int, now: float) -> None:
        """WrapUp has ended, unless it was another one."""
        if agent.state is WRAP_UP and agent.token == token:
            agent.step(Event.WRAP_OVER, now)
            agent.idle_since = now
            agent.settle(now)
            self._changed(agent, now)
