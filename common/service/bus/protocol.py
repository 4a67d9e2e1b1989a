"""What a process may expect of the bus, whichever carries it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from common.contracts.envelopes import Envelope
from common.contracts.wire import FAULTS, check_utf8

MAX_PAYLOAD_BYTES: Final = 1024 * 1024
"""A larger message is not sent and one received is dropped: a Snapshot of 6,000 agents is about 900 kB."""

Handler = Callable[[str, Envelope | None], None]
"""Called with (topic, envelope); None instead of an envelope says a retained message was cleared."""


class Bus(Protocol):
    """Publish and subscribe; nothing blocks, nothing is promised but order per topic while connected."""

    node: str
    incarnation: str

    @property
    def connected(self) -> bool:
        """Whether messages flow now."""

    def publish(self, topic: str, body: object, *, retain: bool = False, epoch: int = 0) -> None:
        """Queue one message; when not connected all but retained messages are dropped (sequence numbers show it)."""

    def clear(self, topic: str) -> None:
        """Remove a retained message."""

    def subscribe(self, pattern: str, handler: Handler) -> None:
        """Receive what matches an MQTT topic filter, own messages included. Filters of one bus must not overlap:
        some brokers then deliver a message twice (MQTT 3.1.1, 3.3.5)."""

    def on_connection(self, handler: Callable[[bool], None]) -> None:
        """Hear of every change of `connected`."""


class Sealer:
    """Wraps bodies in envelopes and counts their sequence per topic."""

    __slots__ = ("_encoder", "_incarnation", "_node", "_sequence")

    def __init__(self, node: str, incarnation: str) -> None:
        self._node = node
        self._incarnation = incarnation
        self._sequence: dict[str, int] = {}
        self._encoder = msgspec.json.Encoder()

    def seal(self, topic: str, body: object, epoch: int) -> bytes:
        """The payload for one message."""
        sequence = self._sequence.get(topic, 0) + 1
        self._sequence[topic] = sequence
        encode = self._encoder.encode
        return encode(Envelope(self._node, self._incarnation, sequence, msgspec.Raw(encode(body)), epoch))


_decoder: Final = msgspec.json.Decoder(Envelope)


def open_envelope(payload: bytes) -> Envelope | None:
    """Decode a payload; None when it is no envelope of ours or too large."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        return None
    try:
        check_utf8(payload)
        return _decoder.decode(payload)
    except FAULTS:
        return None


def matches(pattern: str, topic: str) -> bool:
    """Whether an MQTT topic filter (`+` one level, `#` the rest) matches a topic (MQTT 3.1.1, 4.7)."""
    if "+" not in pattern and "#" not in pattern:
        return pattern == topic
    if topic[:1] == "$" and pattern[0] in "+#":  # a broker's own topics (4.7.2)
        return False
    filters, levels = pattern.split("/"), topic.split("/")
    for index, wanted in enumerate(filters):
        if wanted == "#":
            return True
        if index >= len(levels) or wanted not in ("+", levels[index]):
            return False
    return len(filters) == len(levels)
