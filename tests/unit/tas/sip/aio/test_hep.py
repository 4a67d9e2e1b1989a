"""The export to Homer over real sockets on loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from tas.sip.aio.hep import HepExporter
from tas.sip.flow import Flow
from tas.sip.trace import MessageTrace
from tests.unit.tas.sip.hep_decoder import decode

LOCAL = ("192.0.2.1", 5060)
PEER = Flow("udp", ("192.0.2.9", 5062))
REGISTER = b'REGISTER sip:a SIP/2.0\r\nAuthorization: Digest response="secret"\r\n\r\n'


@pytest.fixture
def homer() -> Iterator[socket.socket]:
    """Where Homer would listen."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(2)
        yield listening


def exporter() -> HepExporter:
    return HepExporter(node="tas-1", capture_id=7, local=lambda _transport: LOCAL, wall=lambda at: 1_700_000_000 + at)


async def test_both_directions_arrive_without_secrets(homer: socket.socket) -> None:
    trace, export = MessageTrace(), exporter()
    await export.open(homer.getsockname())
    trace.add_tap(export.tap)
    trace.record(b"c", 1.5, False, PEER, REGISTER)
    trace.record(b"c", 1.5, True, PEER, b"SIP/2.0 200 OK\r\n\r\n")
    received, sent = (decode(homer.recv(65_536)) for _ in range(2))
    export.close()
    us, them = (ip_address("192.0.2.1"), 5060), (ip_address("192.0.2.9"), 5062)
    assert (received["source"], received["target"]) == (them, us)
    assert (sent["source"], sent["target"]) == (us, them)
    assert received["payload"] == b"REGISTER sip:a SIP/2.0\r\nAuthorization: (blanked)\r\n\r\n"
    assert sent["payload"] == b"SIP/2.0 200 OK\r\n\r\n"
    assert (sent["seconds"], sent["micros"], sent["capture_id"], sent["node"]) == (1_700_000_001, 500_000, 7, "tas-1")
    assert (export.sent, export.errors) == (2, 0)


async def test_homer_that_is_away_and_a_peer_without_address_only_count(homer: socket.socket) -> None:
    address = homer.getsockname()
    homer.close()
    trace, export = MessageTrace(), exporter()
    await export.open(address)
    trace.add_tap(export.tap)
    async with asyncio.timeout(2):
        while not export.errors:  # the kernel tells the next send, or the loop, that nobody listens
            trace.record(b"c", 0.0, True, PEER, b"x")
            await asyncio.sleep(0)
    before = export.errors
    trace.record(b"c", 0.0, True, Flow("udp", ("pbx.example", 5060)), b"x")
    assert export.errors > before
    export.close()


async def test_closed_export_sends_nothing(homer: socket.socket) -> None:
    export = exporter()
    await export.open(homer.getsockname())
    export.close()
    export.tap(b"c", (0.0, True, "udp", PEER.remote, b"x", 1))
    assert export.sent == 0
