"""Queues: who waits (longest first), who is ready (by the queue's strategy), as heaps with lazy removal."""

from __future__ import annotations

import heapq

from agentbroker.acd.agents import READY, Agent
from agentbroker.acd.policy import Key, usable
from agentbroker.acd.stats import QueueStats
from common.service.directory import QueueEntry


class WaitingCall:
    """A call in a queue. `entered_at` is on the broker's clock, moved back by what it had waited before we knew."""

    __slots__ = ("agent", "call_uid", "caller", "entered_at", "node", "not_before", "offer", "queue", "removed")

    def __init__(self, call_uid: str, queue: str, node: str, caller: str, entered_at: float) -> None:
        self.call_uid = call_uid
        self.queue = queue
        self.node = node
        self.caller = caller
        self.entered_at = entered_at
        self.offer = ""
        self.agent = ""
        self.not_before = 0.0
        """Not offered again before this time (REFUSED, agent busy)."""
        self.removed = False


class Queue:
    """One queue."""

    __slots__ = ("_count", "_ready", "_waiting", "entry", "key", "members", "name", "stats", "waiting")

    def __init__(self, name: str, entry: QueueEntry, key: Key) -> None:
        self.name = name
        self.entry = entry
        self.key = key
        self.members: list[str] = []
        self.stats = QueueStats(entry.servicelevel)
        self.waiting: dict[str, WaitingCall] = {}
        self._waiting: list[tuple[float, int, WaitingCall]] = []
        self._ready: list[tuple[tuple[float, ...], int, int, Agent]] = []
        self._count = 0

    def enter(self, call: WaitingCall) -> None:
        """A call waits; one with an older clock goes before younger ones."""
        self._count += 1
        self.waiting[call.call_uid] = call
        heapq.heappush(self._waiting, (call.entered_at, self._count, call))

    def leave(self, call_uid: str) -> WaitingCall | None:
        """A call waits no more."""
        call = self.waiting.pop(call_uid, None)
        if call is not None:
            call.removed = True
        return call

    def ready(self, agent: Agent) -> None:
        """An agent may be offered calls of this queue."""
        self._count += 1
        heapq.heappush(self._ready, (self.key(agent, self), self._count, agent.token, agent))

    def take_agent(self, call: WaitingCall) -> Agent | None:
        """The best ready agent who can take `call`; others keep their place."""
        passed = []
        found = None
        while self._ready:
            item = heapq.heappop(self._ready)
            agent = item[3]
            if agent.state is not READY or agent.token != item[2]:
                continue
            if usable(agent, call.node):
                found = agent
                break
            passed.append(item)
        for item in passed:
            heapq.heappush(self._ready, item)
        return found

    def head(self, agent: Agent, now: float) -> WaitingCall | None:
        """The call that has waited longest and can go to `agent`; all keep their place."""
        passed = []
        found = None
        while self._waiting:
            item = self._waiting[0]
            call = item[2]
            if call.removed:
                heapq.heappop(self._waiting)
                continue
            if not call.offer and call.not_before <= now and usable(agent, call.node):
                found = call
                break
            passed.append(heapq.heappop(self._waiting))
        for item in passed:
            heapq.heappush(self._waiting, item)
        return found

    def oldest_s(self, now: float) -> float:
        """How long the longest waiting call has waited, seconds."""
        return max((now - call.entered_at for call in self.waiting.values()), default=0.0)
