"""The far ends of the real engine's connection points: loopback sockets, and waits that end with the packet."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mediaserver.engine import PCMA, PCMU, Engine

HOST = "127.0.0.1"
WAIT_S = 2.0
"""Longest wait for anything; what is waited for is there within a few ms."""
DTMF = 101
PAYLOAD_TYPE = {PCMU: 0, PCMA: 8}


@dataclass(frozen=True)
class Rtp:
    """A packet as it was on the wire."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def udp_socket(host: str = HOST) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.setblocking(False)
    bound.bind((host, 0))
    return bound


class Peer:
    """One connection point and its phone."""

    def __init__(self, engine: Engine, host: str = HOST) -> None:
        self.engine = engine
        self.phone = udp_socket(host)
        point = udp_socket()
        self.address: tuple[str, int] = point.getsockname()
        self.cp = engine.add(point.fileno())
        point.detach()
        self.sequence = 1000
        self.timestamp = 0

    def set_remote(
        self, codec: int = PCMA, *, address: tuple[str, int] | None = None, ptime_ms: int = 20, dtmf: int = DTMF,
        send: bool = True, receive: bool = True, learn: bool = False, timeout_ms: int = 0,
    ) -> None:  # fmt: skip
        host, port = address or self.phone.getsockname()
        self.engine.set_remote(
            self.cp, host, port, codec, PAYLOAD_TYPE[codec], ptime_ms, dtmf, send, receive, learn, timeout_ms
        )

    def talk(
        self, payload: bytes, payload_type: int = 8, *, marker: bool = False, timestamp: int | None = None
    ) -> None:
        """Send one packet."""
        stamp = self.timestamp if timestamp is None else timestamp
        header = struct.pack(">BBHII", 0x80, payload_type | marker << 7, self.sequence & 0xFFFF, stamp, 0xC0FFEE)
        self.sequence += 1
        if timestamp is None:
            self.timestamp += len(payload)
        self.phone.sendto(header + payload, self.address)

    def hear(self, wait_s: float = WAIT_S) -> Rtp | None:
        """The next packet, None when none comes in time."""
        if not select.select([self.phone], [], [], wait_s)[0]:
            return None
        data = self.phone.recv(2048)
        first, second, sequence, timestamp, ssrc = struct.unpack(">BBHII", data[:12])
        assert first == 0x80
        return Rtp(second & 0x7F, bool(second >> 7), sequence, timestamp, ssrc, data[12:])

    def must_hear(self) -> Rtp:
        packet = self.hear()
        assert packet is not None, f"nothing heard within {WAIT_S} s"
        return packet

    def close(self) -> None:
        self.phone.close()


def next_events(engine: Engine, wait_s: float = WAIT_S) -> list[tuple[int, int, int, int]]:
    """What the event descriptor announces; empty when nothing comes in time."""
    return engine.read_events() if select.select([engine.event_fd], [], [], wait_s)[0] else []


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for what has no descriptor: counters."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, what
        select.select([], [], [], 0.001)


@contextmanager
def running(capacity: int = 8) -> Iterator[Engine]:
    """A started engine that must be empty at the end, when all its points have been removed."""
    engine = Engine(capacity=capacity, realtime_priority=0)
    engine.start()
    try:
        yield engine
        until(lambda: engine.engine_statistics()["active"] == 0, "connection points left over")
    finally:
        engine.stop()
