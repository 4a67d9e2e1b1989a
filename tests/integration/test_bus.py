"""The bus over real brokers: order, retained messages, loss of the broker, last wills, the size limit."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
from structlog.testing import capture_logs

from common.contracts import topics
from common.contracts.envelopes import Envelope, Presence
from common.service.bus.aio.mqtt import MqttBus
from common.service.bus.protocol import MAX_PAYLOAD_BYTES
from tests.integration.support.brokers import MqttBroker

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 30.0
TOPIC = "opentas/1/test/events"
OTHER = "opentas/1/test/other"
MANY = 10_000


class Listener:
    """Keeps what a bus hears."""

    def __init__(self, bus: MqttBus, pattern: str = TOPIC) -> None:
        self.heard: list[tuple[str, Envelope | None]] = []
        self.connections: list[bool] = []
        bus.subscribe(pattern, lambda topic, envelope: self.heard.append((topic, envelope)))
        bus.on_connection(self.connections.append)

    def bodies(self) -> list[object]:
        """Decoded bodies, None for a cleared message."""
        return [None if envelope is None else msgspec.json.decode(envelope.body) for _, envelope in self.heard]

    def sequences(self) -> list[int]:
        """Sequence numbers of all envelopes."""
        return [envelope.seq for _, envelope in self.heard if envelope is not None]


async def until(condition: Callable[[], object], what: str) -> None:
    """Wait for something the broker does."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            while not condition():  # noqa: ASYNC110 - what is waited for happens in another process
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {TIMEOUT_S} s: {what}") from None


@contextlib.asynccontextmanager
async def running(*buses: MqttBus) -> AsyncIterator[None]:
    """Connect buses; at the end none leaves a task behind."""
    before = asyncio.all_tasks()
    for bus in buses:
        bus.start()
    try:
        await until(lambda: all(bus.connected for bus in buses), "all connected")
        yield
    finally:
        for bus in buses:
            await bus.stop()
        left = asyncio.all_tasks() - before
    assert left == set()


def make_bus(broker: MqttBroker, node: str, incarnation: str = "i1") -> MqttBus:
    return MqttBus(broker.url, node, incarnation)


async def test_ten_thousand_messages_arrive_once_each_in_order(broker: MqttBroker) -> None:
    sender, receiver = make_bus(broker, "tas-1"), make_bus(broker, "broker-1")
    listener = Listener(receiver)
    async with running(sender, receiver):
        for number in range(MANY):
            sender.publish(TOPIC, {"number": number}, epoch=3)
        await until(lambda: len(listener.heard) >= MANY, f"{MANY} messages")
    assert listener.bodies() == [{"number": number} for number in range(MANY)]
    assert listener.sequences() == list(range(1, MANY + 1))
    first = listener.heard[0][1]
    assert first is not None
    assert (first.src, first.inc, first.epoch) == ("tas-1", "i1", 3)
    assert sender.dropped == 0


async def test_process_hears_its_own_messages_and_only_what_it_subscribed_to(broker: MqttBroker) -> None:
    bus = make_bus(broker, "tas-1")
    listener = Listener(bus, "opentas/1/test/+")
    async with running(bus):
        bus.publish("opentas/1/elsewhere/events", "no")
        bus.publish(OTHER, "a")
        bus.publish(TOPIC, "b")
        await until(lambda: len(listener.heard) >= 2, "two messages")
    assert [topic for topic, _ in listener.heard] == [OTHER, TOPIC]


async def test_retained_message_reaches_who_comes_later_until_it_is_cleared(broker: MqttBroker) -> None:
    sender, early = make_bus(broker, "tas-1"), make_bus(broker, "broker-1")
    heard_early = Listener(early)
    async with running(sender, early):
        sender.publish(TOPIC, "first", retain=True)
        sender.publish(TOPIC, "second", retain=True)
        await until(lambda: len(heard_early.heard) == 2, "both live")
        later = make_bus(broker, "broker-2")
        heard_later = Listener(later)
        async with running(later):
            await until(lambda: heard_later.heard, "the retained message")
            sender.clear(TOPIC)
            await until(lambda: len(heard_early.heard) == 3 and len(heard_later.heard) == 2, "the clearing")
        assert heard_early.bodies() == ["first", "second", None]
        assert heard_later.bodies() == ["second", None]
        last = make_bus(broker, "broker-3")
        heard_last = Listener(last, "opentas/1/test/#")
        async with running(last):
            sender.publish(OTHER, "end")
            await until(lambda: heard_last.heard, "a live message")
        assert heard_last.bodies() == ["end"]


async def test_killed_broker_that_comes_back_is_found_again(broker: MqttBroker) -> None:
    sender, receiver = make_bus(broker, "tas-1"), make_bus(broker, "broker-1")
    listener = Listener(receiver, "opentas/1/test/#")
    async with running(sender, receiver):
        sender.publish(TOPIC, "before")
        await until(lambda: listener.heard, "the first message")
        await broker.kill()
        await until(lambda: not sender.connected and not receiver.connected, "the loss is noticed")
        sender.publish(TOPIC, "lost")
        sender.publish(OTHER, "kept", retain=True)
        await broker.start()
        await until(lambda: sender.connected and receiver.connected, "reconnection")
        await until(lambda: "kept" in listener.bodies(), "the retained message")
        sender.publish(TOPIC, "after")
        await until(lambda: "after" in listener.bodies(), "a message after it")
    assert "lost" not in listener.bodies()
    assert listener.connections == [True, False, True, False]
    on_topic = [envelope.seq for topic, envelope in listener.heard if topic == TOPIC and envelope is not None]
    assert on_topic == [1, 3], "the gap shows that a message was lost"


async def test_broker_that_is_absent_at_start_is_waited_for(broker: MqttBroker) -> None:
    await broker.stop()
    bus = make_bus(broker, "tas-1")
    bus.start()
    try:
        await asyncio.sleep(0.3)
        assert not bus.connected
        await broker.start()
        await until(lambda: bus.connected, "connection")
    finally:
        await bus.stop()


async def test_last_will_says_gone_when_a_process_is_killed(broker: MqttBroker) -> None:
    watcher = make_bus(broker, "broker-1")
    listener = Listener(watcher, topics.ALL_PRESENCE)
    async with running(watcher):
        child = await start_child(broker.url)
        await until(lambda: listener.heard, "the child's presence")
        child.send_signal(signal.SIGKILL)
        await child.wait()
        await until(lambda: len(listener.heard) == 2, "the last will")
        late = make_bus(broker, "broker-2")
        heard_late = Listener(late, topics.ALL_PRESENCE)
        async with running(late):
            await until(lambda: heard_late.heard, "the will is retained")
    assert states(listener) == [("tas-9", "up"), ("tas-9", "gone")]
    assert states(heard_late) == [("tas-9", "gone")]


async def test_orderly_stop_says_gone_too(broker: MqttBroker) -> None:
    """MQTT discards the will at a DISCONNECT: without a word a stopped node's retained presence would say up."""
    watcher = make_bus(broker, "broker-1")
    listener = Listener(watcher, topics.ALL_PRESENCE)
    topic = topics.presence("tas", "tas-9")
    leaving = MqttBus(broker.url, "tas-9", "i7", last_will=(topic, Presence("tas-9", "tas", "i7", "gone")))
    async with running(watcher):
        async with running(leaving):
            leaving.publish(topic, Presence("tas-9", "tas", "i7", "up"), retain=True)
            await until(lambda: listener.heard, "presence")
        await until(lambda: len(listener.heard) == 2, "gone")
    assert states(listener) == [("tas-9", "up"), ("tas-9", "gone")]


async def test_message_at_the_size_limit_passes_and_a_larger_one_is_dropped(broker: MqttBroker) -> None:
    sender, receiver = make_bus(broker, "tas-1"), make_bus(broker, "broker-1")
    listener = Listener(receiver)
    around = len(msgspec.json.encode(Envelope("tas-1", "i1", 1, msgspec.Raw(b'""'))))
    async with running(sender, receiver):
        largest = "x" * (MAX_PAYLOAD_BYTES - around)
        sender.publish(TOPIC, largest)
        sender.publish(TOPIC, "x" * (MAX_PAYLOAD_BYTES - around + 1))
        sender.publish(TOPIC, "next")
        await until(lambda: len(listener.heard) == 2, "two messages")
        assert listener.bodies() == [largest, "next"]
        assert listener.sequences() == [1, 3], "the gap shows the drop"
    assert sender.dropped == 1
    assert listener.connections == [True, False]


async def test_foreign_payload_and_failing_handler_leave_the_bus_working(broker: MqttBroker) -> None:
    sender, receiver = make_bus(broker, "tas-1"), make_bus(broker, "broker-1")
    listener = Listener(receiver)

    def fail(_topic: str, _envelope: Envelope | None) -> None:
        raise ValueError("a fault of a room")

    receiver.subscribe(OTHER, fail)
    async with running(sender, receiver):
        assert sender._client is not None
        sender._client.push(TOPIC, b"not an envelope", False)
        sender.publish(OTHER, "x")
        sender.publish(TOPIC, "after")
        await until(lambda: listener.heard, "the next message")
    assert listener.bodies() == ["after"]


async def test_wrong_password_is_said_once_and_tried_again(broker: MqttBroker) -> None:
    bus = MqttBus(broker.url.replace("@", "-wrong@"), "tas-1", "i1")
    with capture_logs() as logs:
        bus.start()
        await asyncio.sleep(1.0)  # three tries
        assert not bus.connected
        await bus.stop()
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("bus not reachable, trying again", "warning"),
    ]


CHILD = """
    import asyncio, sys
    from common.contracts import topics
    from common.contracts.envelopes import Presence
    from common.service.bus.aio.mqtt import MqttBus

    async def main() -> None:
        topic = topics.presence("tas", "tas-9")
        bus = MqttBus(sys.argv[1], "tas-9", "i7", last_will=(topic, Presence("tas-9", "tas", "i7", "gone")))
        bus.start()
        bus.publish(topic, Presence("tas-9", "tas", "i7", "up"), retain=True)
        await asyncio.sleep(60)

    asyncio.run(main())
"""


async def start_child(url: str) -> asyncio.subprocess.Process:
    """A process with a last will, to be killed."""
    return await asyncio.create_subprocess_exec(sys.executable, "-c", textwrap.dedent(CHILD), url, cwd=ROOT)


def states(listener: Listener) -> list[tuple[str, str]]:
    """(node, state) of each Presence heard."""
    found = []
    for _, envelope in listener.heard:
        assert envelope is not None
        presence = msgspec.json.decode(envelope.body, type=Presence)
        found.append((presence.node, presence.state))
    return found
