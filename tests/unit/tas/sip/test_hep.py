"""HEP3 packets, read back by a decoder of their own."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from tas.sip.hep import MAX_PAYLOAD_BYTES, encode
from tests.unit.tas.sip.hep_decoder import decode

V4 = ("192.0.2.1", 5060), ("192.0.2.9", 5062)
V6 = ("2001:db8::1", 5060), ("2001:db8::9", 5062)


def test_packet_says_who_sent_what_to_whom_and_when() -> None:
    packet = encode(1_700_000_000.25, "udp", *V4, b"BYE a SIP/2.0\r\n\r\n", capture_id=2001, node="tas-1")
    assert decode(packet) == {
        "family": 2,
        "protocol": 17,
        "source": (ip_address("192.0.2.1"), 5060),
        "target": (ip_address("192.0.2.9"), 5062),
        "seconds": 1_700_000_000,
        "micros": 250_000,
        "type": 1,
        "capture_id": 2001,
        "payload": b"BYE a SIP/2.0\r\n\r\n",
        "node": "tas-1",
    }


def test_ipv6_and_tcp_are_told() -> None:
    found = decode(encode(0.0, "tcp", *V6, b"x", capture_id=2**32 - 1, node="n"))
    assert (found["family"], found["protocol"], found["capture_id"]) == (10, 6, 2**32 - 1)
    assert found["source"] == (ip_address("2001:db8::1"), 5060)


def test_rounded_up_second_has_no_million_microseconds() -> None:
    found = decode(encode(1.9999999, "udp", *V4, b"x", capture_id=1, node="n"))
    assert (found["seconds"], found["micros"]) == (2, 0)


def test_message_too_large_for_a_datagram_is_cut() -> None:
    packet = encode(0.0, "tcp", *V4, b"x" * 200_000, capture_id=1, node="n")
    assert decode(packet)["payload"] == b"x" * MAX_PAYLOAD_BYTES
    assert len(packet) < 65_507


def test_peer_with_a_name_for_an_address_is_refused() -> None:
    with pytest.raises(ValueError, match="does not appear to be an IPv4 or IPv6 address"):
        encode(0.0, "udp", ("pbx.example", 5060), V4[0], b"x", capture_id=1, node="n")
