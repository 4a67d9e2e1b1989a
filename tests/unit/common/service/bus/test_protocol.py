"""Envelopes and topic filters."""

from __future__ import annotations

import msgspec
import pytest

from common.contracts.envelopes import Envelope
from common.service.bus.protocol import MAX_PAYLOAD_BYTES, Sealer, matches, open_envelope


@pytest.mark.parametrize(
    ("pattern", "topic", "expected"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/B", False),
        ("a/b", "a/b/c", False),
        ("a/+", "a/b", True),
        ("a/+", "a/", True),
        ("a/+", "a", False),
        ("a/+", "a/b/c", False),
        ("+/+", "/b", True),
        ("+", "a", True),
        ("a/#", "a/b/c", True),
        ("a/#", "a", True),
        ("a/#", "ab", False),
        ("a/+/c", "a/b/c", True),
        ("a/+/c", "a/b/d", False),
        ("#", "a/b", True),
        ("#", "$SYS/broker", False),
        ("+/broker", "$SYS/broker", False),
        ("$SYS/#", "$SYS/broker", True),
    ],
)
def test_topic_filters_match_as_mqtt_says(pattern: str, topic: str, expected: bool) -> None:
    assert matches(pattern, topic) is expected


def test_sequence_counts_from_one_for_each_topic() -> None:
    sealer = Sealer("tas-1", "a1")
    opened = [open_envelope(sealer.seal(topic, {}, 0)) for topic in ("x", "y", "x")]
    assert [envelope.seq for envelope in opened if envelope is not None] == [1, 1, 2]


def test_sealed_body_comes_back() -> None:
    envelope = open_envelope(Sealer("tas-1", "a1").seal("x", {"number": "+46 8#*"}, 9))
    assert envelope is not None
    assert (envelope.src, envelope.inc, envelope.epoch) == ("tas-1", "a1", 9)
    assert msgspec.json.decode(envelope.body) == {"number": "+46 8#*"}


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"online",
        b"{}",
        b"[]",
        b'{"src":"a","inc":"b","seq":"1","body":1}',
        b'{"src":"a","inc":"b","seq":1}',
        b'{"src":"\xff","inc":"b","seq":1,"body":1}',
        b'{"src":"a","inc":"b","seq":1,"body":"\xff"}',
        b'{"src":"a","inc":"b","seq":1,"body":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=range(9),
)
def test_payload_of_others_is_no_envelope(payload: bytes) -> None:
    assert open_envelope(payload) is None


def test_payload_over_the_limit_is_not_looked_at() -> None:
    empty = len(msgspec.json.encode(Envelope("a", "b", 1, msgspec.Raw(b'""'))))
    sealer = Sealer("a", "b")
    assert open_envelope(sealer.seal("x", "y" * (MAX_PAYLOAD_BYTES - empty), 0)) is not None
    assert open_envelope(sealer.seal("x", "y" * (MAX_PAYLOAD_BYTES - empty + 1), 0)) is None
