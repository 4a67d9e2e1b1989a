"""The virtual clock and the network of a scenario: whole processes in memory, run in the order things happen.

A step jumps to the soonest arrival or deadline, hands over what is due, and gives each process that was touched one
turn, as its loop would. Nothing sleeps, and one seed decides all loss and every random number.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from itertools import count
from typing import Any, Final

from tas.sip.flow import Address, Flow, Send
from tas.sip.layer import SipLayer
from tas.sip.message import Request, Response
from tas.sip.parser import SipParseError, parse_message

START: Final = 1000.0
TRIP_S: Final = 0.002
"""One way of a SIP datagram."""
CONTROL_S: Final = 0.0002
"""One way of media control bytes."""
BUS_S: Final = 0.0005
"""From one process to the others over the bus."""
WAKE_S: Final = 1e-6
"""A loop wakes a moment after a deadline, never at it."""
MAX_STEPS: Final = 300_000
"""A scenario that spins is ended instead of hanging the run."""


class Process:
    """Anything with a clock: `turn` lets out what its machines hold, `next_timeout` is asked after each turn."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.armed_at: float | None = None

    def turn(self, now: float) -> None:
        """Handle events, let everything out."""

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is due."""
        return None

    def handle_timeout(self, now: float) -> None:
        """Run what is due."""


class Host(Process):
    """A process that is reached by SIP datagrams."""

    def receive(self, data: bytes, flow: Flow) -> None:
        """A datagram arrived; `flow.local` is the address it was sent to."""


class SipProcess(Host):
    """A process with one SIP layer on one UDP address."""

    def __init__(self, world: World, layer: SipLayer, address: Address) -> None:
        super().__init__(world)
        self.layer = layer
        self.address = address
        world.hosts[address] = self

    def receive(self, data: bytes, flow: Flow) -> None:
        """A datagram arrived."""
        now = self.world.now
        message: Request | Response
        try:
            message = parse_message(data)
        except SipParseError as error:
            self.layer.receive_error(error, flow, now)
            return
        self.layer.receive_message(message, flow, now)

    def transmit(self) -> None:
        """Put on the network what the layer sends."""
        for send in self.layer.take_sends():
            self.world.send(self.address, send)


class World:
    """Clock, network, and all processes by their SIP addresses."""

    def __init__(self, seed: int = 1, *, loss: float = 0.0) -> None:
        self.now = START
        self.random = random.Random(seed)
        self.loss = loss
        self.hosts: dict[Address, Host] = {}
        self.wire: list[tuple[float, Address, Address, bytes]] | None = []
        """(when sent, from, to, data) of every datagram, lost ones too; None: not kept (load)."""
        self._flows: dict[tuple[Address, Address], Flow] = {}
        self._order = count()
        self._heap: list[tuple[float, int, Process, Callable[..., None] | None, tuple[Any, ...]]] = []
        self._touched: dict[Process, None] = {}

    # What processes ask for.

    def at(self, when: float, process: Process, action: Callable[..., None], *arguments: Any) -> None:
        """Run an action of a process at a time; the process gets a turn after it."""
        heapq.heappush(self._heap, (when, next(self._order), process, action, arguments))

    def after(self, delay_s: float, process: Process, action: Callable[..., None], *arguments: Any) -> None:
        """As `at`, from now."""
        self.at(self.now + delay_s, process, action, *arguments)

    def touch(self, process: Process) -> None:
        """The process was given something: it gets a turn in this step, or in the next one when none is under way."""
        self._touched[process] = None

    def send(self, source: Address, send: Send) -> None:
        """A datagram leaves; it arrives, or is lost."""
        target = send.flow.remote
        if self.wire is not None:
            self.wire.append((self.now, source, target, send.data))
        if self.loss and self.random.random() < self.loss:
            return
        host = self.hosts.get(target)
        if host is None:
            return
        flow = self._flows.get((source, target))
        if flow is None:
            flow = self._flows[source, target] = Flow("udp", source, target)
        self.at(self.now + TRIP_S, host, self._arrive, host, send.data, flow)

    def _arrive(self, host: Host, data: bytes, flow: Flow) -> None:
        if self.hosts.get(flow.local) is host:  # it may have died meanwhile
            host.receive(data, flow)

    # Running.

    def step(self, until: float) -> bool:
        """Jump to what happens next; False when that is after `until`."""
        heap, touched = self._heap, self._touched
        if not touched:
            if not heap or heap[0][0] > until:
                return False
            if heap[0][0] > self.now:
                self.now = heap[0][0]
        now = self.now
        while heap and heap[0][0] <= now:
            due, _, process, action, arguments = heapq.heappop(heap)
            if action is not None:
                action(*arguments)
            elif process.armed_at == due:
                process.armed_at = None
                process.handle_timeout(now)
            else:
                continue
            touched[process] = None
        while touched:
            process = touched.popitem()[0]
            process.turn(now)
            due_next = process.next_timeout()
            if due_next is not None and (process.armed_at is None or due_next + WAKE_S < process.armed_at):
                process.armed_at = due_next + WAKE_S
                heapq.heappush(heap, (process.armed_at, next(self._order), process, None, ()))
        return True

    def run(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        for _ in range(MAX_STEPS):
            if not self.step(until):
                self.now = until
                return
        raise AssertionError("the scenario spins")

    def run_until(self, reached: Callable[[], object], limit_s: float = 60.0) -> None:
        """Run until `reached()`; fails when it does not come about in `limit_s`."""
        until = self.now + limit_s
        for _ in range(MAX_STEPS):
            if reached():
                return
            if not self.step(until):
                break
        raise AssertionError(f"not reached within {limit_s} s of virtual time")
