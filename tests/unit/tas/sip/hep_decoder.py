"""A decoder of HEP3 written from its chunk table, apart from the encoder."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any


def decode(packet: bytes) -> dict[str, Any]:
    """The chunks by name; raises AssertionError for a packet whose lengths do not add up."""
    assert packet[:4] == b"HEP3"
    assert int.from_bytes(packet[4:6], "big") == len(packet)
    chunks: dict[int, bytes] = {}
    rest = packet[6:]
    while rest:
        vendor, kind, length = (int.from_bytes(rest[at : at + 2], "big") for at in (0, 2, 4))
        assert vendor == 0
        assert 6 <= length <= len(rest)
        assert kind not in chunks
        chunks[kind], rest = rest[6:length], rest[length:]
    number = {kind: int.from_bytes(value, "big") for kind, value in chunks.items()}
    source, target = (3, 4) if number[1] == 2 else (5, 6)
    sizes = {1: 1, 2: 1, 7: 2, 8: 2, 9: 4, 10: 4, 11: 1, 12: 4}
    assert {kind: len(chunks[kind]) for kind in sizes} == sizes
    return {
        "family": number[1],
        "protocol": number[2],
        "source": (ip_address(chunks[source]), number[7]),
        "target": (ip_address(chunks[target]), number[8]),
        "seconds": number[9],
        "micros": number[10],
        "type": number[11],
        "capture_id": number[12],
        "payload": chunks[15],
        "node": chunks[19].decode(),
    }
