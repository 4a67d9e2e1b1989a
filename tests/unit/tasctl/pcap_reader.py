"""A reader of capture files written from the format's description, apart from the writer."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

Ip = IPv4Address | IPv6Address


@dataclass
class Packet:
    """One datagram."""

    at: float
    source: tuple[Ip, int]
    target: tuple[Ip, int]
    payload: bytes
    missing: int
    """Bytes on the wire that were not captured."""


def read(data: bytes) -> list[Packet]:
    """All packets; raises AssertionError for a file that no reader should take."""
    assert data[:4] == b"\xd4\xc3\xb2\xa1"  # little endian, microseconds
    assert data[4:8] == b"\x02\x00\x04\x00"
    assert _little(data[20:24]) == 101  # LINKTYPE_RAW
    packets = []
    rest = data[24:]
    while rest:
        seconds, micros, captured, length = (_little(rest[at : at + 4]) for at in (0, 4, 8, 12))
        assert micros < 1_000_000
        assert captured <= length
        packets.append(_packet(rest[16 : 16 + captured], seconds + micros / 1e6, length - captured))
        rest = rest[16 + captured :]
    return packets


def _packet(packet: bytes, at: float, missing: int) -> Packet:
    if packet[0] >> 4 == 4:
        assert packet[0] & 15 == 5
        assert _ones_sum(packet[:20]) == 0xFFFF
        assert (int.from_bytes(packet[2:4], "big"), packet[9]) == (len(packet), 17)
        source, target, datagram = packet[12:16], packet[16:20], packet[20:]
    else:
        assert (packet[0] >> 4, packet[6]) == (6, 17)
        assert int.from_bytes(packet[4:6], "big") == len(packet) - 40
        source, target, datagram = packet[8:24], packet[24:40], packet[40:]
    assert int.from_bytes(datagram[4:6], "big") == len(datagram)
    pseudo = source + target + len(datagram).to_bytes(4, "big") + b"\0\0\0\x11"
    assert _ones_sum(pseudo + datagram) == 0xFFFF
    ports = [int.from_bytes(datagram[at : at + 2], "big") for at in (0, 2)]
    return Packet(at, (ip_address(source), ports[0]), (ip_address(target), ports[1]), datagram[8:], missing)


def _ones_sum(data: bytes) -> int:
    total = sum(int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")
