"""A bus in memory with the semantics of the real one, for scenarios on the virtual clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from common.service.bus.protocol import Handler, Sealer, matches, open_envelope


class MemoryHub:
    """The broker: delivers in order, keeps retained messages, only when told to."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._retained: dict[str, bytes] = {}
        self._buses: list[MemoryBus] = []

    def join(self, bus: MemoryBus) -> None:
        """A bus connected: it gets the retained messages it subscribed to at the next delivery."""
        self._buses.append(bus)

    def leave(self, bus: MemoryBus) -> None:
        """A bus lost its connection."""
        self._buses.remove(bus)

    def accept(self, topic: str, payload: bytes, retain: bool) -> None:
        """Take a message in."""
        if retain and payload:
            self._retained[topic] = payload
        elif retain:
            self._retained.pop(topic, None)
        self._waiting.append((topic, payload))

    def replay(self, bus: MemoryBus, pattern: str) -> None:
        """Give a new subscription what is retained."""
        for topic, payload in list(self._retained.items()):
            if matches(pattern, topic):
                bus.receive(topic, payload)

    def deliver(self) -> int:
        """Deliver everything that waits, what handlers publish meanwhile included; returns how many."""
        count = 0
        while self._waiting:
            topic, payload = self._waiting.popleft()
            count += 1
            for bus in list(self._buses):
                bus.receive(topic, payload)
        return count


class MemoryBus:
    """One process's end of a MemoryHub."""

    def __init__(self, hub: MemoryHub, node: str, incarnation: str) -> None:
        self.node = node
        self.incarnation = incarnation
        self.connected = False
        self._hub = hub
        self._sealer = Sealer(node, incarnation)
        self._subscriptions: list[tuple[str, Handler]] = []
        self._listeners: list[Callable[[bool], None]] = []
        self._kept: list[tuple[str, bytes]] = []

    def connect(self) -> None:
        """Connect, send the retained messages that waited and receive those of others."""
        self.connected = True
        self._hub.join(self)
        kept, self._kept = self._kept, []
        for topic, payload in kept:
            self._hub.accept(topic, payload, True)
        for pattern, _ in list(self._subscriptions):
            self._hub.replay(self, pattern)
        for listener in self._listeners:
            listener(True)

    def disconnect(self) -> None:
        """Lose the connection: a partition or a dead process."""
        self.connected = False
        self._hub.leave(self)
        for listener in self._listeners:
            listener(False)

    def publish(self, topic: str, body: object, *, retain: bool = False, epoch: int = 0) -> None:
        """See Bus.publish."""
        payload = self._sealer.seal(topic, body, epoch)
        if self.connected:
            self._hub.accept(topic, payload, retain)
        elif retain:
            self._kept.append((topic, payload))

    def clear(self, topic: str) -> None:
        """See Bus.clear."""
        if self.connected:
            self._hub.accept(topic, b"", True)
        else:
            self._kept.append((topic, b""))

    def subscribe(self, pattern: str, handler: Handler) -> None:
        """See Bus.subscribe."""
        self._subscriptions.append((pattern, handler))
        if self.connected:
            self._hub.replay(self, pattern)

    def on_connection(self, handler: Callable[[bool], None]) -> None:
        """See Bus.on_connection."""
        self._listeners.append(handler)

    def receive(self, topic: str, payload: bytes) -> None:
        """A message from the hub."""
        envelope = open_envelope(payload) if payload else None
        if payload and envelope is None:
            return
        for pattern, handler in self._subscriptions:
            if matches(pattern, topic):
                handler(topic, envelope)
