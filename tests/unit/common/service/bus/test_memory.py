"""The bus in memory behaves as the real one (tests/integration/test_bus.py says the same of that)."""

from __future__ import annotations

import msgspec

from common.contracts.envelopes import Envelope
from common.service.bus.memory import MemoryBus, MemoryHub
from common.service.bus.protocol import Bus


class Listener:
    def __init__(self, bus: Bus, pattern: str) -> None:
        self.heard: list[object] = []
        self.sequences: list[int] = []
        self.connections: list[bool] = []
        bus.subscribe(pattern, self._hear)
        bus.on_connection(self.connections.append)

    def _hear(self, _topic: str, envelope: Envelope | None) -> None:
        self.heard.append(None if envelope is None else msgspec.json.decode(envelope.body))
        if envelope is not None:
            self.sequences.append(envelope.seq)


def connected(hub: MemoryHub, node: str, pattern: str = "t/#") -> tuple[MemoryBus, Listener]:
    bus = MemoryBus(hub, node, "i1")
    listener = Listener(bus, pattern)
    bus.connect()
    return bus, listener


def test_messages_wait_for_the_hub_and_come_in_order_to_all() -> None:
    hub = MemoryHub()
    sender, own = connected(hub, "tas-1")
    _, other = connected(hub, "broker-1")
    for number in range(3):
        sender.publish("t/a", number)
    assert own.heard == other.heard == []
    assert hub.deliver() == 3
    assert own.heard == other.heard == [0, 1, 2]
    assert other.sequences == [1, 2, 3]
    assert hub.deliver() == 0


def test_only_matching_topics_are_heard() -> None:
    hub = MemoryHub()
    sender, _ = connected(hub, "tas-1")
    _, listener = connected(hub, "broker-1", "t/+/x")
    sender.publish("t/a/x", 1)
    sender.publish("t/a/y", 2)
    hub.deliver()
    assert listener.heard == [1]


def test_retained_message_greets_who_comes_later_until_cleared() -> None:
    hub = MemoryHub()
    sender, live = connected(hub, "tas-1")
    sender.publish("t/a", "old", retain=True)
    sender.publish("t/a", "new", retain=True)
    hub.deliver()
    _, late = connected(hub, "broker-1")
    assert late.heard == ["new"]
    sender.clear("t/a")
    hub.deliver()
    assert live.heard == ["old", "new", None]
    assert late.heard == ["new", None]
    assert connected(hub, "broker-2")[1].heard == []


def test_subscription_after_connecting_hears_what_is_retained() -> None:
    hub = MemoryHub()
    bus, _ = connected(hub, "tas-1")
    bus.publish("u/a", 1, retain=True)
    hub.deliver()
    assert Listener(bus, "u/#").heard == [1]


def test_while_disconnected_only_retained_messages_and_clearings_are_kept() -> None:
    hub = MemoryHub()
    _, listener = connected(hub, "broker-1")
    sender, sender_listener = connected(hub, "tas-1", "none")
    sender.publish("t/gone", "x", retain=True)
    hub.deliver()
    sender.disconnect()
    sender.publish("t/a", "lost")
    sender.publish("t/b", "kept", retain=True)
    sender.clear("t/gone")
    assert hub.deliver() == 0
    sender.connect()
    sender.publish("t/a", "after")
    hub.deliver()
    assert listener.heard == ["x", "kept", None, "after"]
    assert listener.sequences == [1, 1, 2], "the second of t/a: the gap shows the loss"
    assert sender_listener.connections == [True, False, True]


def test_handler_may_publish_retained_while_it_is_told_what_is_retained() -> None:
    hub = MemoryHub()
    first, _ = connected(hub, "tas-1", "none")
    for number in range(3):
        first.publish(f"t/{number}", number, retain=True)
    hub.deliver()
    bus = MemoryBus(hub, "tas-2", "i1")
    bus.subscribe("t/#", lambda topic, _envelope: bus.publish(f"seen/{topic}", 1, retain=True))
    bus.connect()
    hub.deliver()
    assert len(connected(hub, "broker-1", "seen/#")[1].heard) == 3


def test_foreign_payload_is_dropped() -> None:
    hub = MemoryHub()
    _, listener = connected(hub, "broker-1")
    hub.accept("t/a", b"not an envelope", False)
    hub.deliver()
    assert listener.heard == []


def test_both_kinds_of_bus_are_a_bus() -> None:
    from common.service.bus.aio.mqtt import MqttBus

    buses: list[Bus] = [MemoryBus(MemoryHub(), "tas-1", "i1"), MqttBus("mqtt://127.0.0.1", "tas-1", "i1")]
    assert [bus.connected for bus in buses] == [False, False]
