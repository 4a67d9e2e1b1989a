"""The message trace: what it keeps, its bounds, its taps, and what it blanks."""

from __future__ import annotations

import gc

import pytest

from tas.sip.framer import StreamFramer
from tas.sip.message import Request
from tas.sip.trace import (
    CALL_OVERHEAD,
    MAX_CALL_BYTES,
    MAX_MESSAGE_BYTES,
    MESSAGE_OVERHEAD,
    Entry,
    MessageTrace,
    blank_secrets,
)
from tests.unit.tas.sip.support import PEER, make_answer, make_head, make_request, tcp, udp

INVITE = make_head().render(b"INVITE")


def test_messages_are_kept_by_call_as_they_were_on_the_wire() -> None:
    trace = MessageTrace()
    ringing, bye = make_answer(INVITE, 180).wire, make_request(b"BYE", call_id=b"c", cseq=9).wire
    trace.record(b"c", 1.0, True, udp(), INVITE)
    trace.record(b"c", 1.5, False, udp(), ringing)
    trace.record(b"c", 2.0, False, tcp(), bye)
    assert [(each.at, each.sent, each.transport, each.peer, each.data, each.size) for each in trace.get(b"c")] == [
        (1.0, True, "udp", PEER, INVITE, len(INVITE)),
        (1.5, False, "udp", PEER, ringing, len(ringing)),
        (2.0, False, "tcp", PEER, bye, len(bye)),
    ]
    assert [(each.line, each.cseq) for each in trace.get(b"c")] == [
        (b"INVITE sip:b@192.0.2.9 SIP/2.0", b"1 INVITE"),
        (b"SIP/2.0 180 Reason", b"1 INVITE"),
        (b"BYE sip:8000@192.0.2.1 SIP/2.0", b"9 BYE"),
    ]


def test_unknown_call_has_no_messages() -> None:
    assert MessageTrace().get(b"c") == []


@pytest.mark.parametrize(
    ("header", "cseq"), [(b"cseq :  7\t INVITE", b"7 INVITE"), (b"CSeq:1 INVITE", b"1 INVITE"), (b"X: 1", b"")]
)
def test_cseq_is_found_however_it_is_written(header: bytes, cseq: bytes) -> None:
    trace = MessageTrace()
    trace.record(b"c", 0.0, False, udp(), b"INVITE sip:a SIP/2.0\r\nTo: <sip:a>\r\n" + header + b"\r\n\r\n")
    assert trace.get(b"c")[0].cseq == cseq


@pytest.mark.parametrize("method", [b"REGISTER", b"OPTIONS", b"BYE"])
def test_only_an_invite_begins_a_call(method: bytes) -> None:
    trace = MessageTrace()
    request = make_request(method, call_id=b"c").wire
    trace.record(b"c", 0.0, False, udp(), request)
    assert (len(trace), trace.size) == (0, 0)
    trace.record(b"c", 1.0, False, udp(), INVITE)
    trace.record(b"c", 2.0, False, udp(), request)
    assert [each.data for each in trace.get(b"c")] == [INVITE, request]


def test_ring_of_no_bytes_keeps_nothing_and_still_feeds_taps() -> None:
    trace, heard = MessageTrace(0), []
    trace.add_tap(lambda call_id, _entry: heard.append(call_id))
    trace.record(b"c", 0.0, True, udp(), INVITE)
    assert (len(trace), heard) == (0, [b"c"])


def test_large_message_is_cut_and_says_what_it_was() -> None:
    trace = MessageTrace()
    trace.record(b"c", 0.0, True, udp(), INVITE + b"x" * MAX_MESSAGE_BYTES)
    (kept,) = trace.get(b"c")
    assert (len(kept.data), kept.size) == (MAX_MESSAGE_BYTES, len(INVITE) + MAX_MESSAGE_BYTES)


def test_messages_beyond_the_bytes_of_a_call_are_not_kept() -> None:
    trace = MessageTrace()
    fitting = (MAX_CALL_BYTES - CALL_OVERHEAD) // (len(INVITE) + MESSAGE_OVERHEAD)
    for number in range(fitting + 5):
        trace.record(b"c", float(number), True, udp(), INVITE)
    assert [each.at for each in trace.get(b"c")] == [float(number) for number in range(fitting)]
    assert trace.size == CALL_OVERHEAD + fitting * (len(INVITE) + MESSAGE_OVERHEAD)


def test_oldest_calls_make_room_when_the_ring_is_full() -> None:
    trace = MessageTrace(100_000)
    for number in range(1000):
        trace.record(b"%d" % number, 0.0, True, udp(), INVITE)
        assert trace.size <= 100_000
    fitting = 100_000 // (len(INVITE) + MESSAGE_OVERHEAD + CALL_OVERHEAD)
    assert len(trace) == fitting
    assert trace.get(b"%d" % (999 - fitting)) == []
    assert [each.data for each in trace.get(b"%d" % (1000 - fitting))] == [INVITE]


def test_call_that_grows_pushes_out_the_oldest_even_itself() -> None:
    trace = MessageTrace(3 * MAX_MESSAGE_BYTES)
    for number in range(8):
        trace.record(b"old" if number < 2 else b"new", 0.0, True, udp(), INVITE + b"x" * MAX_MESSAGE_BYTES)
    assert trace.get(b"old") == []
    assert trace.size <= 3 * MAX_MESSAGE_BYTES


def test_every_tap_hears_every_message_whole_until_it_is_removed() -> None:
    trace = MessageTrace()
    first: list[Entry] = []
    second: list[Entry] = []

    def one(_call_id: bytes, entry: Entry) -> None:
        first.append(entry)

    def two(_call_id: bytes, entry: Entry) -> None:
        second.append(entry)

    large = INVITE + b"x" * MAX_MESSAGE_BYTES
    trace.record(b"c", 0.0, True, udp(), INVITE)
    trace.add_tap(one)
    trace.record(b"c", 1.0, True, udp(), large)
    trace.add_tap(two)
    trace.record(b"r", 2.0, False, tcp(), b"OPTIONS sip:a SIP/2.0\r\n\r\n")
    trace.remove_tap(one)
    trace.record(b"c", 3.0, True, udp(), INVITE)
    trace.remove_tap(two)
    trace.record(b"c", 4.0, True, udp(), INVITE)
    assert first == [
        (1.0, True, "udp", PEER, large, len(large)),
        (2.0, False, "tcp", PEER, b"OPTIONS sip:a SIP/2.0\r\n\r\n", 25),
    ]
    assert [entry[0] for entry in second] == [2.0, 3.0]


def test_wire_of_a_stream_is_that_of_a_datagram() -> None:
    request = make_request(body=b"v=0\r\n").wire
    (message,) = StreamFramer().feed(request)
    assert isinstance(message, Request)
    assert message.wire == request
    (without_body,) = StreamFramer().feed(INVITE)
    assert isinstance(without_body, Request)
    assert without_body.wire == INVITE


def test_secrets_are_blanked_in_headers_and_nothing_else_is_touched() -> None:
    message = (
        b'REGISTER sip:a SIP/2.0\r\nauthorization: Digest username="1001",\r\n response="aa"\r\nTo: <sip:a>\r\n'
        b'Proxy-Authorization :Digest response="bb"\r\nWWW-Authenticate: Digest realm="r"\r\n'
        b"X-Authorization: kept\r\n\r\nAuthorization: body\r\n"
    )
    assert blank_secrets(message) == (
        b"REGISTER sip:a SIP/2.0\r\nauthorization: (blanked)\r\nTo: <sip:a>\r\nProxy-Authorization: (blanked)\r\n"
        b'WWW-Authenticate: Digest realm="r"\r\nX-Authorization: kept\r\n\r\nAuthorization: body\r\n'
    )
    assert (
        blank_secrets(b"INVITE a SIP/2.0\r\nAuthorization: cut he") == b"INVITE a SIP/2.0\r\nAuthorization: (blanked)"
    )


def test_kept_messages_are_nothing_the_collector_must_look_at() -> None:
    trace = MessageTrace()
    trace.record(b"c", 1.0, True, udp(), INVITE)
    gc.collect()
    gc.collect()  # a tuple is let go once what it holds has been: compiled, the address in it is the younger of the two
    assert not any(gc.is_tracked(entry) for entry in trace._calls[b"c"].entries)
