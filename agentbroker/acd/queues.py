"""Queues: who waits (longest first), who is ready (by the queue's strategy), as heaps with lazy removal.

Outdated entries are dropped when they come to the top, and swept when they are the larger part of a heap: a queue
that nobody calls must not keep an entry for every time its agents became ready.
"""

from __future__ import annotations

import heapq
from typing import Final

from agentbroker.acd.agents import READY, Agent
from agentbroker.acd.policy import Key
from agentbroker.acd.stats import QueueStats
from common.service.directory import QueueEntry

SLACK: Final = 64
"""A heap may hold this many outdated entries beyond twice what is current."""


class WaitingCall:
    """A call in a queue. `entered_at` is on the broker's clock, moved back by what it had waited before we knew."""

    __slots__ = (
        "agent", "call_uid", "caller", "entered_at", "listed", "node", "not_before", "offer", "order", "queue",
        "removed",
    )  # fmt: skip

    def __init__(self, call_uid: str, queue: str, node: str, caller: str, entered_at: float) -> None:
        self.call_uid = call_uid
        self.queue = queue
        self.node = node
        self.caller = caller
        self.entered_at = entered_at
        self.offer = ""
        self.agent = ""
        self.not_before = 0.0
        """Not offered again before this time (REFUSED, caller gone)."""
        self.order = 0
        self.listed = False
        """Whether the queue's heap has an entry for it."""
        self.removed = False


class Queue:
    """One queue."""

    __slots__ = ("_count", "_listed", "_ready", "entry", "key", "members", "name", "stats", "waiting")

    def __init__(self, name: str, entry: QueueEntry, key: Key) -> None:
        self.name = name
        self.entry = entry
        self.key = key
        self.members: dict[str, int] = {}
        """Agent -> place in agents.toml."""
        self.stats = QueueStats(entry.servicelevel)
        self.waiting: dict[str, WaitingCall] = {}
        self._listed: list[tuple[float, int, WaitingCall]] = []
        self._ready: list[tuple[tuple[float, ...], int, int, Agent]] = []
        self._count = 0

    @property
    def held(self) -> int:
        """Entries in memory, outdated ones included."""
        return len(self._listed) + len(self._ready)

    def enter(self, call: WaitingCall) -> None:
        """A call is in the queue; line_up() makes it one that agents are looked for."""
        self._count += 1
        call.order = self._count
        self.waiting[call.call_uid] = call

    def line_up(self, call: WaitingCall) -> None:
        """A call waits for an agent; one with an older clock goes before younger ones."""
        if not call.listed:
            call.listed = True
            heapq.heappush(self._listed, (call.entered_at, call.order, call))

    def leave(self, call_uid: str) -> None:
        """A call waits no more."""
        call = self.waiting.pop(call_uid, None)
        if call is None:
            return
        call.removed = True
        if len(self._listed) > 2 * len(self.waiting) + SLACK:
            kept = [item for item in self._listed if not item[2].removed]
            heapq.heapify(kept)
            self._listed = kept

    def ready(self, agent: Agent) -> None:
        """An agent may be offered calls of this queue."""
        self._count += 1
        heapq.heappush(self._ready, (self.key(agent, self), self._count, agent.token, agent))
        if len(self._ready) > 2 * len(self.members) + SLACK:
            kept = [item for item in self._ready if item[3].state is READY and item[3].token == item[2]]
            heapq.heapify(kept)
            self._ready = kept

    def take_agent(self) -> Agent | None:
        """The best ready agent."""
        while self._ready:
            _, _, token, agent = heapq.heappop(self._ready)
            if agent.state is READY and agent.token == token:
                return agent
        return None

    def head(self, now: float) -> WaitingCall | None:
        """The call that has waited longest and may be offered now; all keep their place."""
        passed = []
        found = None
        while self._listed:
            item = self._listed[0]
            call = item[2]
            if call.removed or call.offer:
                heapq.heappop(self._listed)
                call.listed = False
                continue
            if call.not_before <= now:
                found = call
                break
            passed.append(heapq.heappop(self._listed))
        for item in passed:
            heapq.heappush(self._listed, item)
        return found

    def unoffered(self) -> list[WaitingCall]:
        """Calls without an offer, longest waiting first."""
        free = [call for call in self.waiting.values() if not call.offer]
        return sorted(free, key=lambda call: (call.entered_at, call.order))

    def oldest_s(self, now: float) -> float:
        """How long the longest waiting call has waited, seconds."""
        return max((now - call.entered_at for call in self.waiting.values()), default=0.0)


class Waiting:
    """The waiting calls of all queues."""

    def __init__(self, queues: dict[str, Queue]) -> None:
        self._queues = queues
        self.calls: dict[str, WaitingCall] = {}

    def enter(self, call: WaitingCall) -> None:
        """A call enters its queue."""
        self.calls[call.call_uid] = call
        self._queues[call.queue].enter(call)

    def leave(self, call: WaitingCall) -> None:
        """A call leaves its queue."""
        del self.calls[call.call_uid]
        self._queues[call.queue].leave(call.call_uid)

    def of_node(self, node: str) -> list[WaitingCall]:
        """Calls a node has."""
        return [call for call in self.calls.values() if call.node == node]
