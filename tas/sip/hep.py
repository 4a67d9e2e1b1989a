"""HEP3, the format in which Homer (sipcapture.org) takes copies of SIP messages: typed chunks behind one length."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import Final

from tas.sip.flow import Address

MAX_PAYLOAD_BYTES: Final = 60_000
"""The copy of a larger message (one that came over a stream) is cut: it must fit a datagram."""
IPV4, IPV6 = 2, 10  # as AF_INET and AF_INET6 of Linux
PROTOCOLS: Final = {"udp": 17}
TCP: Final = 6
SIP: Final = 1
GENERIC: Final = 0
"""Vendor of the chunks everybody knows."""


def encode(
    at: float, transport: str, source: Address, destination: Address, payload: bytes, *, capture_id: int, node: str
) -> bytes:
    """One packet; `at` is Unix time in seconds."""
    from_ip, to_ip = ip_address(source[0]), ip_address(destination[0])
    version4 = from_ip.version == 4
    seconds, micros = divmod(round(at * 1_000_000), 1_000_000)
    chunks = b"".join(
        (
            _chunk(1, struct.pack("!B", IPV4 if version4 else IPV6)),
            _chunk(2, struct.pack("!B", PROTOCOLS.get(transport, TCP))),
            _chunk(3 if version4 else 5, from_ip.packed),
            _chunk(4 if version4 else 6, to_ip.packed),
            _chunk(7, struct.pack("!H", source[1])),
            _chunk(8, struct.pack("!H", destination[1])),
            _chunk(9, struct.pack("!I", seconds)),
            _chunk(10, struct.pack("!I", micros)),
            _chunk(11, struct.pack("!B", SIP)),
            _chunk(12, struct.pack("!I", capture_id)),
            _chunk(15, payload[:MAX_PAYLOAD_BYTES]),
            _chunk(19, node.encode()),
        )
    )
    return b"HEP3" + struct.pack("!H", 6 + len(chunks)) + chunks


def _chunk(kind: int, value: bytes) -> bytes:
    return struct.pack("!HHH", GENERIC, kind, 6 + len(value)) + value
