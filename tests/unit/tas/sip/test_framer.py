import pytest

from tas.sip.framer import Item, Ping, StreamFramer
from tas.sip.message import Request, Response
from tas.sip.parser import MAX_BODY_BYTES, MAX_HEADER_BYTES, SipParseError

HEADERS = (
    b"Via: SIP/2.0/TCP 10.0.0.1:5060;branch=z9hG4bK1\r\nTo: <sip:8000@tas>\r\nFrom: <sip:1@h>;tag=f\r\n"
    b"Call-ID: c@h\r\nCSeq: 1 INVITE\r\n"
)
INVITE = b"INVITE sip:8000@tas SIP/2.0\r\n" + HEADERS + b"Content-Length: 5\r\n\r\nv=0\r\n"
RINGING = b"SIP/2.0 180 Ringing\r\n" + HEADERS + b"l: 0\r\n\r\n"


def kinds(items: list[Item]) -> list[str]:
    return [type(item).__name__ for item in items]


def only_error(items: list[Item]) -> SipParseError:
    assert len(items) == 1
    assert isinstance(items[0], SipParseError)
    return items[0]


def test_messages_in_one_chunk_come_out_in_order() -> None:
    framer = StreamFramer()
    items = framer.feed(INVITE + RINGING + INVITE)
    assert kinds(items) == ["Request", "Response", "Request"]
    assert isinstance(items[0], Request)
    assert items[0].body == b"v=0\r\n"
    assert isinstance(items[1], Response)
    assert items[1].body == b""
    assert framer.pending == 0


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64, 250])
def test_messages_in_pieces_come_out_the_same(size: int) -> None:
    stream = INVITE + b"\r\n" + RINGING + b"\r\n\r\n" + INVITE
    framer = StreamFramer()
    items: list[Item] = []
    for begin in range(0, len(stream), size):
        items += framer.feed(memoryview(stream)[begin : begin + size])
    assert kinds(items) == ["Request", "Response", "Ping", "Request"]
    assert framer.pending == 0


def test_message_does_not_share_the_callers_buffer() -> None:
    buffer = bytearray(INVITE)
    (item,) = StreamFramer().feed(memoryview(buffer))
    buffer[:] = b"x" * len(buffer)
    assert isinstance(item, Request)
    assert item.body == b"v=0\r\n"


def test_message_waits_for_the_last_byte_of_its_body() -> None:
    framer = StreamFramer()
    assert framer.feed(INVITE[:-1]) == []
    assert framer.pending == 4
    assert kinds(framer.feed(INVITE[-1:])) == ["Request"]


def test_keepalive_is_a_ping_once_complete() -> None:
    framer = StreamFramer()
    assert framer.feed(b"\r\n\r") == []
    assert kinds(framer.feed(b"\n")) == ["Ping"]
    assert framer.pending == 0


def test_single_line_break_between_messages_is_no_ping() -> None:
    assert kinds(StreamFramer().feed(b"\r\n" + INVITE + b"\r\n" + INVITE)) == ["Request", "Request"]


def test_flood_of_keepalives_is_one_ping_and_keeps_nothing() -> None:
    framer = StreamFramer()
    items = framer.feed(b"\r\n" * 100_001)
    assert kinds(items) == ["Ping"]
    assert framer.pending < 4
    assert isinstance(items[0], Ping)


def test_message_without_content_length_is_refused() -> None:
    # RFC 3261 §18.3: mandatory on streams
    framer = StreamFramer()
    error = only_error(framer.feed(b"INVITE sip:8000@tas SIP/2.0\r\n" + HEADERS + b"\r\n"))
    assert (error.status, error.reason) == (400, "Missing Content-Length")
    assert error.partial is not None
    assert framer.broken


def test_after_an_error_the_stream_is_ignored() -> None:
    framer = StreamFramer()
    items = framer.feed(RINGING + b"junk\r\n\r\n" + INVITE)
    assert kinds(items) == ["Response", "SipParseError"]
    assert framer.feed(INVITE) == []
    assert framer.pending == 0


def test_header_block_is_accepted_at_the_limit_and_refused_beyond() -> None:
    start = b"OPTIONS sip:tas SIP/2.0\r\n" + HEADERS + b"l: 0\r\nX-Own: "
    fits = start + b"a" * (MAX_HEADER_BYTES - len(start)) + b"\r\n\r\n"
    assert kinds(StreamFramer().feed(fits)) == ["Request"]
    assert only_error(StreamFramer().feed(fits[:-4] + b"a\r\n\r\n")).status == 513


def test_header_block_without_end_is_refused_at_the_limit() -> None:
    framer = StreamFramer()
    assert framer.feed(b"a" * MAX_HEADER_BYTES) == []
    assert only_error(framer.feed(b"a")).status == 513
    assert framer.pending == 0


def test_body_is_accepted_at_the_limit_and_refused_beyond() -> None:
    start = b"OPTIONS sip:tas SIP/2.0\r\n" + HEADERS
    framer = StreamFramer()
    assert framer.feed(start + b"l: %d\r\n\r\n" % MAX_BODY_BYTES) == []
    assert kinds(framer.feed(b"a" * MAX_BODY_BYTES)) == ["Request"]
    error = only_error(StreamFramer().feed(start + b"l: %d\r\n\r\n" % (MAX_BODY_BYTES + 1)))
    assert error.status == 513
    assert error.partial is not None


def test_end_of_headers_is_found_wherever_the_chunks_break() -> None:
    for cut in range(len(INVITE) - 12, len(INVITE)):
        framer = StreamFramer()
        assert framer.feed(INVITE[:cut]) == []
        assert kinds(framer.feed(INVITE[cut:])) == ["Request"]
