"""The UDP door: flows by peer, their bound, and what is not worth parsing."""

from __future__ import annotations

import pytest

from tas.sip.aio import udp
from tas.sip.aio.udp import UdpDoor
from tas.sip.flow import Flow
from tas.sip.message import Request
from tas.sip.parser import SipParseError
from tests.unit.tas.sip.aio.test_tcp import OPTIONS


class Receiver:
    def __init__(self) -> None:
        self.messages: list[tuple[object, Flow]] = []

    def received(self, message: object, flow: Flow) -> None:
        self.messages.append((message, flow))


def test_datagrams_of_one_peer_share_a_flow() -> None:
    receiver = Receiver()
    door = UdpDoor(receiver)
    for port in (5060, 5060, 5070):
        door.datagram_received(OPTIONS, ("192.0.2.9", port))
    flows = [flow for _, flow in receiver.messages]
    assert flows[0] is flows[1] is not flows[2]
    assert flows[2].remote == ("192.0.2.9", 5070)
    assert all(isinstance(message, Request) for message, _ in receiver.messages)


def test_ipv6_peer_is_known_by_address_and_port() -> None:
    receiver = Receiver()
    UdpDoor(receiver).datagram_received(OPTIONS, ("2001:db8::1", 5060, 0, 0))
    assert receiver.messages[0][1].remote == ("2001:db8::1", 5060)


def test_flows_are_dropped_at_their_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "MAX_FLOWS", 10)
    door = UdpDoor(Receiver())
    for port in range(25):
        door.datagram_received(OPTIONS, ("192.0.2.9", port))
    assert len(door._flows) == 5


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\0\0\0\0"])
def test_keepalives_are_ignored(data: bytes) -> None:
    receiver = Receiver()
    UdpDoor(receiver).datagram_received(data, ("192.0.2.9", 5060))
    assert receiver.messages == []


def test_datagram_that_is_no_message_comes_as_an_error() -> None:
    receiver = Receiver()
    UdpDoor(receiver).datagram_received(bytes(range(64)), ("192.0.2.9", 5060))
    assert isinstance(receiver.messages[0][0], SipParseError)


async def test_refused_send_is_counted_and_not_raised() -> None:
    door = UdpDoor(Receiver())
    await door.open(("127.0.0.1", 0))
    try:
        door.send(Flow("udp", ("2001:db8::1", 5060)), OPTIONS)
        door.error_received(OSError())
        assert door.errors >= 1
    finally:
        door.close()
