"""Trace messages as a capture file that Wireshark reads: IP packets without a link layer, each message in one datagram.

Messages of TCP and other streams stand in UDP datagrams too, between the right addresses and ports: Wireshark shows
them as SIP without any stream to put together. The node's end is the door of the transport, also where the node
connected from another port.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from common.contracts.trace import TraceMessage

MAGIC: Final = 0xA1B2C3D4
"""Times in microseconds; the byte order is the one it was written in."""
LINKTYPE_RAW: Final = 101
SNAP_BYTES: Final = 262_144
UDP: Final = 17
HOPS: Final = 64
MAX_IPV4_BYTES: Final = 65_535
HEADER_BYTES: Final = {4: 20, 6: 40}
UDP_HEADER_BYTES: Final = 8
Ip = IPv4Address | IPv6Address
NOWHERE: Final = "0.0.0.0"
"""Stands for an address that is a host's name."""


def file_header() -> bytes:
    """What a capture file begins with."""
    return struct.pack("<IHHiIII", MAGIC, 2, 4, 0, 0, SNAP_BYTES, LINKTYPE_RAW)


def record(message: TraceMessage) -> bytes:
    """One message with its packet's headers; what was cut off it shows as not captured."""
    local, peer = _address(message.local), _address(message.peer)
    source, target = (local, peer) if message.sent else (peer, local)
    if source[0].version != target[0].version:
        source, target = _as_ipv6(source), _as_ipv6(target)
    room = MAX_IPV4_BYTES - HEADER_BYTES[4] - UDP_HEADER_BYTES
    payload = message.payload[:room]
    missing = message.cut + len(message.payload) - len(payload)
    packet = _packet(source, target, payload)
    seconds, micros = divmod(round(message.at * 1_000_000), 1_000_000)
    return struct.pack("<IIII", seconds, micros, len(packet), len(packet) + missing) + packet


def _packet(source: tuple[Ip, int], target: tuple[Ip, int], payload: bytes) -> bytes:
    length = UDP_HEADER_BYTES + len(payload)
    ends = source[0].packed + target[0].packed
    ports = struct.pack("!HH", source[1], target[1])
    pseudo = ends + struct.pack("!IHH", length, 0, UDP) + ports + struct.pack("!HH", length, 0) + payload
    datagram = ports + struct.pack("!HH", length, checksum(pseudo) or 0xFFFF) + payload  # RFC 768: 0 means none
    if source[0].version == 6:
        return struct.pack("!IHBB", 6 << 28, length, UDP, HOPS) + ends + datagram
    head = struct.pack("!BBHHHBBH", 0x45, 0, HEADER_BYTES[4] + length, 0, 0, HOPS, UDP, 0) + ends
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + datagram


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _address(text: str) -> tuple[Ip, int]:
    host, _, port = text.rpartition(":")
    try:
        return ip_address(host.strip("[]")), int(port)
    except ValueError:
        return ip_address(NOWHERE), int(port) if port.isdecimal() else 0


def _as_ipv6(end: tuple[Ip, int]) -> tuple[Ip, int]:
    address, port = end
    return (address, port) if address.version == 6 else (IPv6Address(f"::ffff:{address}"), port)
