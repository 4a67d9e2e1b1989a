"""What the MQTT bus decides by itself; what it does with brokers is in tests/integration/test_bus.py."""

from __future__ import annotations

import asyncio

import pytest

from common.service.bus.aio.mqtt import OUTBOX_LIMIT, MqttBus
from common.service.bus.protocol import MAX_PAYLOAD_BYTES


@pytest.mark.parametrize("url", ["", "h:1883", "http://h", "mqtts://h", "mqtt://", "mqtt:x", "mqtt://h:x"])
def test_url_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"mqtt://\[user:password@\]host\[:port\]|Port"):
        MqttBus(url, "tas-1", "i1")


def test_url_may_hold_what_stands_for_itself_only_when_quoted() -> None:
    bus = MqttBus("mqtt://tas%401:p%40ss%2Fw%3A@bus.example", "tas-1", "i1")
    assert bus._where == ("bus.example", 1883, "tas@1", "p@ss/w:")


def waiting(bus: MqttBus) -> list[str]:
    return [topic for topic, _, _ in bus._outbox]


def test_without_a_connection_only_retained_messages_and_clearings_wait() -> None:
    bus = MqttBus("mqtt://127.0.0.1", "tas-1", "i1")
    bus.publish("t/lost", 1)
    bus.publish("t/kept", 1, retain=True)
    bus.clear("t/cleared")
    assert waiting(bus) == ["t/kept", "t/cleared"]
    assert bus.dropped == 0


def test_outbox_at_its_limit_drops_the_oldest_and_counts() -> None:
    bus = MqttBus("mqtt://127.0.0.1", "tas-1", "i1")
    for number in range(OUTBOX_LIMIT):
        bus.publish(f"t/{number}", 1, retain=True)
    assert (len(waiting(bus)), bus.dropped) == (OUTBOX_LIMIT, 0)
    bus.publish("t/last", 1, retain=True)
    assert (len(waiting(bus)), bus.dropped) == (OUTBOX_LIMIT, 1)
    assert (waiting(bus)[0], waiting(bus)[-1]) == ("t/1", "t/last")


def test_message_over_the_size_limit_is_not_queued() -> None:
    bus = MqttBus("mqtt://127.0.0.1", "tas-1", "i1")
    bus.publish("t/large", "x" * MAX_PAYLOAD_BYTES, retain=True)
    assert (waiting(bus), bus.dropped) == ([], 1)


def test_lost_connection_takes_what_waits_with_it_but_for_retained_messages() -> None:
    bus = MqttBus("mqtt://127.0.0.1", "tas-1", "i1")
    bus._set_connected(True)
    bus.publish("t/offer", 1)
    bus.publish("t/binding", 1, retain=True)
    bus._set_connected(False)
    assert waiting(bus) == ["t/binding"]


def test_listener_that_fails_does_not_keep_the_next_from_hearing() -> None:
    bus = MqttBus("mqtt://127.0.0.1", "tas-1", "i1")
    heard: list[bool] = []

    def fail(_connected: bool) -> None:
        raise ValueError("a fault of a room")

    bus.on_connection(fail)
    bus.on_connection(heard.append)
    bus._set_connected(True)
    bus._set_connected(True)
    bus._set_connected(False)
    assert heard == [True, False]


async def test_bus_that_never_connected_stops_at_once_and_takes_no_late_subscription() -> None:
    bus = MqttBus("mqtt://127.0.0.1:1", "tas-1", "i1")
    await bus.stop()
    bus.start()
    with pytest.raises(RuntimeError, match="before start"):
        bus.subscribe("t/#", lambda _topic, _envelope: None)
    async with asyncio.timeout(5):
        await bus.stop()
    assert asyncio.all_tasks() == {asyncio.current_task()}
