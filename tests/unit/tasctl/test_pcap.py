"""Capture files, read back by a reader of their own and by tshark."""

from __future__ import annotations

import shutil
import subprocess
from ipaddress import ip_address
from pathlib import Path

import msgspec
import pytest

from common.contracts.trace import TraceMessage
from tasctl import pcap
from tests.unit.tasctl.pcap_reader import Packet, read

INVITE = (
    "INVITE sip:8000@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.2:5080;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
    "From: <sip:0700123@127.0.0.2>;tag=1\r\nTo: <sip:8000@127.0.0.1>\r\nCall-ID: call-1@h\r\nCSeq: 1 INVITE\r\n"
    "Content-Length: 0\r\n\r\n"
)
RECEIVED = TraceMessage(1_700_000_000.25, "tas-1", False, "udp", "127.0.0.1:5060", "127.0.0.2:5080", "call-1@h", INVITE)
SENT = msgspec.structs.replace(
    RECEIVED, at=1_700_000_000.5, sent=True, transport="tcp", text=INVITE.replace("INVITE", "OPTIONS")
)
OURS, THEIRS = (ip_address("127.0.0.1"), 5060), (ip_address("127.0.0.2"), 5080)


def capture(*messages: TraceMessage) -> bytes:
    return pcap.file_header() + b"".join(map(pcap.record, messages))


def test_messages_are_datagrams_between_the_right_ends_at_their_time() -> None:
    assert read(capture(RECEIVED, SENT)) == [
        Packet(1_700_000_000.25, THEIRS, OURS, RECEIVED.text.encode(), 0),
        Packet(1_700_000_000.5, OURS, THEIRS, SENT.text.encode(), 0),
    ]


@pytest.mark.parametrize("data", [b"\xff", b"\xff\x00", b"\xff" * 65_507])
def test_checksums_hold_for_any_length_and_bytes(data: bytes) -> None:
    (packet,) = read(capture(msgspec.structs.replace(RECEIVED, text="", data=data)))
    assert packet.payload == data


def test_ipv6_is_a_packet_of_its_own_kind_and_mixed_ends_are_mapped() -> None:
    both = msgspec.structs.replace(RECEIVED, local="[2001:db8::1]:5060", peer="[2001:db8::2]:5080")
    (packet,) = read(capture(both))
    assert (packet.source, packet.target) == ((ip_address("2001:db8::2"), 5080), (ip_address("2001:db8::1"), 5060))
    (mixed,) = read(capture(msgspec.structs.replace(both, local="192.0.2.1:5060")))
    assert mixed.target == (ip_address("::ffff:192.0.2.1"), 5060)


def test_message_beyond_a_datagram_is_cut_and_the_file_says_so() -> None:
    (packet,) = read(capture(msgspec.structs.replace(RECEIVED, text="x" * 70_000, cut=5)))
    assert (len(packet.payload), packet.missing) == (65_507, 70_005 - 65_507)


def test_end_without_an_address_does_not_spoil_the_file() -> None:
    (packet,) = read(capture(msgspec.structs.replace(RECEIVED, peer="pbx.example:5080")))
    assert packet.source == (ip_address("0.0.0.0"), 5080)


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed (apt-get install tshark)")
def test_tshark_reads_it_as_sip(tmp_path: Path) -> None:
    odd = msgspec.structs.replace(RECEIVED, local="127.0.0.1:6470", peer="127.0.0.2:27180")
    (tmp_path / "a.pcap").write_bytes(capture(RECEIVED, SENT, odd))
    command = [
        "tshark",
        "-r",
        str(tmp_path / "a.pcap"),
        "-o",
        "udp.check_checksum:TRUE",
        "-o",
        "ip.check_checksum:TRUE",
    ]
    command += ["-T", "fields", "-E", "separator=|"]
    for field in ("sip.Method", "sip.Call-ID", "ip.src", "udp.dstport", "udp.checksum.status", "ip.checksum.status"):
        command += ["-e", field]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout.splitlines() == [
        "INVITE|call-1@h|127.0.0.2|5060|1|1",
        "OPTIONS|call-1@h|127.0.0.1|5080|1|1",
        "INVITE|call-1@h|127.0.0.2|6470|1|1",
    ]
