"""Matching: a waiting call and a ready agent find each other.

While it is held (a node's snapshot or death is taken in, a new leader waits for the first snapshots) nobody is
matched; at the release all are, so that no agent is offered a call on half the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from agentbroker.acd.agents import READY, Agent
from agentbroker.acd.output import Output
from agentbroker.acd.queues import Queue, WaitingCall

MakeOffer = Callable[[Queue, WaitingCall, Agent, float], None]


class Matching:
    """`offer` is Offers.make, set when both are there."""

    offer: MakeOffer

    def __init__(self, queues: dict[str, Queue], output: Output) -> None:
        self._queues = queues
        self._output = output
        self._held = 0

    @property
    def is_held(self) -> bool:
        """Whether nobody is matched now."""
        return self._held > 0

    def hold(self) -> None:
        """Match nobody until release()."""
        self._held += 1

    def release(self, now: float) -> None:
        """Match whoever fits, weightiest queue and longest wait first."""
        self._held -= 1
        if self._held:
            return
        for queue in sorted(self._queues.values(), key=lambda queue: -queue.entry.weight):
            for call in queue.unoffered():
                self.find_agent(queue, call, now)

    @contextmanager
    def held(self, now: float) -> Iterator[None]:
        """Hold for a block."""
        self.hold()
        try:
            yield
        finally:
            self.release(now)

    def find_agent(self, queue: Queue, call: WaitingCall, now: float) -> None:
        """For a call without an offer."""
        if call.offer or call.removed:
            return
        agent = queue.take_agent() if not self._held and call.not_before <= now else None
        if agent is None:
            queue.line_up(call)
        else:
            self.offer(queue, call, agent, now)

    def changed(self, agent: Agent, now: float) -> None:
        """An agent's state is another one: note it, and use an agent who is Ready."""
        self._output.note(agent)
        if agent.state is READY and not self._held:
            self._find_call(agent, now)
        if agent.state is READY:  # still: no call waits
            for name in agent.queues:
                if name in self._queues:
                    self._queues[name].ready(agent)

    def _find_call(self, agent: Agent, now: float) -> None:
        best: tuple[tuple[float, float], Queue, WaitingCall] | None = None
        for name in agent.queues:
            queue = self._queues.get(name)
            call = queue.head(now) if queue is not None else None
            if queue is None or call is None:
                continue
            rank = (-queue.entry.weight, call.entered_at)
            if best is None or rank < best[0]:
                best = (rank, queue, call)
        if best is not None:
            self.offer(best[1], best[2], agent, now)
