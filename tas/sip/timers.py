"""Timers of a node: SIP knows about ten distinct delays, so each delay has a FIFO that is ordered by construction.

Starting appends, cancelling clears the owner, and the loop needs one timer for all. Odd delays (glare) go to a heap.
`now` must never go back.
"""

from collections import deque
from heapq import heappop, heappush
from typing import Final, Protocol


class TimerOwner(Protocol):
    """What a timer wakes."""

    def on_timer(self, kind: str, now: float) -> None:
        """The timer `kind` of this owner has expired; it is no longer running."""


class Timer:
    """One running timer; `owner` is None once it was cancelled or has fired."""

    __slots__ = ("deadline", "kind", "owner")

    def __init__(self, deadline: float, kind: str, owner: TimerOwner) -> None:
        self.deadline = deadline
        self.kind = kind
        self.owner: TimerOwner | None = owner


MAX_QUEUES: Final = 32
"""Distinct delays with a FIFO of their own: RFC 3261 needs about ten, the rest go to the heap."""


class Timers:
    """All timers of one layer."""

    __slots__ = ("_heap", "_order", "_queues", "running")

    def __init__(self) -> None:
        self._queues: dict[float, deque[Timer]] = {}
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = 0
        self.running = 0
        """Timers started and neither fired nor cancelled."""

    def start(self, delay: float, kind: str, owner: TimerOwner, now: float) -> Timer:
        """Start a timer with one of the constant delays."""
        queue = self._queues.get(delay)
        if queue is None:
            if len(self._queues) >= MAX_QUEUES:
                return self.start_odd(delay, kind, owner, now)
            queue = self._queues[delay] = deque()
        timer = Timer(now + delay, kind, owner)
        queue.append(timer)
        self.running += 1
        return timer

    def start_odd(self, delay: float, kind: str, owner: TimerOwner, now: float) -> Timer:
        """Start a timer whose delay is random or configured per call."""
        timer = Timer(now + delay, kind, owner)
        self._order += 1
        heappush(self._heap, (timer.deadline, self._order, timer))
        self.running += 1
        return timer

    def cancel(self, timer: Timer | None) -> None:
        """Stop `timer`; harmless when it is None, has fired or was stopped before."""
        if timer is not None and timer.owner is not None:
            timer.owner = None
            self.running -= 1

    def next_deadline(self) -> float | None:
        """When the next running timer expires."""
        earliest: float | None = None
        for queue in self._queues.values():
            while queue and queue[0].owner is None:
                queue.popleft()
            if queue and (earliest is None or queue[0].deadline < earliest):
                earliest = queue[0].deadline
        heap = self._heap
        while heap and heap[0][2].owner is None:
            heappop(heap)
        if heap and (earliest is None or heap[0][0] < earliest):
            earliest = heap[0][0]
        return earliest

    def fire(self, now: float) -> None:
        """Wake the owner of every timer that is due."""
        due: list[Timer] = []
        for queue in self._queues.values():
            while queue and (queue[0].owner is None or queue[0].deadline <= now):
                timer = queue.popleft()
                if timer.owner is not None:
                    due.append(timer)
        heap = self._heap
        while heap and (heap[0][2].owner is None or heap[0][0] <= now):
            timer = heappop(heap)[2]
            if timer.owner is not None:
                due.append(timer)
        if len(due) > 1:
            due.sort(key=_deadline)
        for timer in due:
            owner = timer.owner
            if owner is not None:  # an earlier one of this round may have cancelled it
                timer.owner = None
                self.running -= 1
                owner.on_timer(timer.kind, now)


def _deadline(timer: Timer) -> float:
    return timer.deadline
