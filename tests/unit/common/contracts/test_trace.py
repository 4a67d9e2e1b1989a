"""Trace lines on the wire: one JSON object each, small, and the same when read back."""

from __future__ import annotations

import msgspec

from common.contracts.trace import TraceLine, TraceLost, TraceMessage

MESSAGE = TraceMessage(1.5, "tas-1", True, "udp", "127.0.0.1:5060", "127.0.0.2:5080", "c", "BYE a SIP/2.0\r\n\r\n")


def test_line_is_read_back_as_it_was() -> None:
    binary = msgspec.structs.replace(MESSAGE, text="", data=b"\xff", call_uid="tas-1-0-0", cut=3)
    for line in (MESSAGE, binary, TraceLost("tas-1", 5)):
        assert msgspec.json.decode(msgspec.json.encode(line), type=TraceLine) == line


def test_what_is_not_there_takes_no_room() -> None:
    names = set(msgspec.json.decode(msgspec.json.encode(MESSAGE)))
    assert names == {"type", "at", "node", "sent", "transport", "local", "peer", "call_id", "text"}


def test_payload_is_the_bytes_of_either() -> None:
    assert MESSAGE.payload == b"BYE a SIP/2.0\r\n\r\n"
    assert msgspec.structs.replace(MESSAGE, text="", data=b"\xff").payload == b"\xff"
