"""Whatever bytes arrive, parser and framer answer with a message or a SipParseError, and bounded work.

Small by default; OPENTAS_FUZZ_ROUNDS=100000 runs the mutations longer.
"""

import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tas.sip.framer import Item, StreamFramer
from tas.sip.grammar import SipSyntaxError
from tas.sip.headers import parse_name_addr, parse_via, split_commas
from tas.sip.message import Request, Response
from tas.sip.parser import SipParseError, parse_message, validate
from tas.sip.serializer import make_response, serialize
from tas.sip.uri import parse_uri

ROUNDS = int(os.environ.get("OPENTAS_FUZZ_ROUNDS", "1500"))
EXAMPLES = max(100, ROUNDS // 10)

SEEDS = (
    b"INVITE sip:8000@[2001:db8::1]:5060;transport=udp SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;rport, SIP/2.0/TCP h;branch=z9hG4bK2\r\n"
    b'Record-Route: <sip:p1;lr>,"a, b" <sip:p2;lr>\r\nMax-Forwards: 70\r\nTo: "A \\"q\\" B" <sip:8000@tas>\r\n'
    b"f: <sip:1%40x@h;user=phone>;tag=f\r\nCall-ID: c@h\r\nCSeq: 1\r\n INVITE\r\nm: <sip:a@10.0.0.1>;q=0.5\r\n"
    b"Content-Type: application/sdp\r\nl: 5\r\n\r\nv=0\r\n",
    b"SIP/2.0 200 OK\r\nv: SIP / 2.0 / UDP h ; branch = x\r\nt: sip:8000@tas;tag=1\r\nFrom: sip:1@h\r\ni: c\r\n"
    b"CSeq: 0009 OPTIONS\r\nContact: *\r\nContent-Length: 0\r\n\r\n",
)
PIECES = (
    b"\r\n", b"\r", b"\n", b" ", b"\t", b":", b";", b",", b'"', b"\\", b"<", b">", b"@", b"[", b"]", b"%", b"=", b"?",
    b"\0", b"\xff", b"9" * 25, b"SIP/2.0", b"Via", b"\r\n\r\n", b"Content-Length: 9\r\n", b";tag=", b"-1",
)  # fmt: skip


def mutate(data: bytes, rng: random.Random) -> bytes:
    """A few random edits: insert, delete, replace, double, cut."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at, kind = rng.randrange(len(out) + 1), rng.randrange(5)
        if kind == 0:
            out[at:at] = rng.choice(PIECES)
        elif kind == 1:
            del out[at : at + rng.randint(1, 20)]
        elif kind == 2:
            out[at : at + 1] = rng.choice(PIECES)
        elif kind == 3:
            end = min(len(out), at + rng.randint(1, 60))
            out[at:at] = out[at:end]
        else:
            del out[at:]
    return bytes(out)


def touch_everything(message: Request | Response) -> None:
    """What validate promises not to raise."""
    _ = message.via.branch, message.via.host, message.vias_raw, message.routes, message.record_routes
    _ = message.from_.tag, message.from_.display, message.to.tag, message.to.parsed_uri(), message.from_.parsed_uri()
    _ = message.call_id, message.cseq, message.cseq_method, message.max_forwards, message.content_type
    contact = message.contact
    if contact is not None and contact.uri != b"*":
        contact.parsed_uri()
    for raw in message.routes + message.record_routes:
        parse_name_addr(raw).parsed_uri()
    if isinstance(message, Request):
        message.parsed_uri()


def check_datagram(data: bytes) -> None:
    try:
        message = parse_message(data)
    except SipParseError as error:
        if error.partial is not None:
            answer = serialize(make_response(error.partial, error.status, error.reason.encode(), to_tag=b"t"))
            assert isinstance(parse_message(answer), Response)
        return
    wire = serialize(message)
    again = parse_message(wire)
    assert [header for header in again.headers if header[0] != b"content-length"] == [
        header for header in message.headers if header[0] != b"content-length"
    ]
    assert again.body == message.body
    verdict = validate(message)
    if verdict is None:
        touch_everything(message)
        assert validate(again) is None
    if isinstance(message, Request):
        assert isinstance(parse_message(serialize(make_response(message, 400, to_tag=b"t"))), Response)


def check_stream(data: bytes, rng: random.Random) -> None:
    whole = StreamFramer()
    expected = whole.feed(data)
    pieces = StreamFramer()
    items: list[Item] = []
    begin = 0
    while begin < len(data):
        end = begin + rng.randint(1, 200)
        items += pieces.feed(data[begin:end])
        begin = end
    assert [summary(item) for item in messages(items)] == [summary(item) for item in messages(expected)]
    assert pieces.broken == whole.broken


def messages(items: list[Item]) -> list[Request | Response | SipParseError]:
    # Keepalives are counted per feed, so they depend on how the bytes were cut.
    return [item for item in items if isinstance(item, (Request, Response, SipParseError))]


def summary(item: Request | Response | SipParseError) -> object:
    return str(item) if isinstance(item, SipParseError) else serialize(item)


@pytest.mark.parametrize("seed", range(4))
def test_mutated_messages_never_escape_as_other_errors(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(ROUNDS):
        check_datagram(mutate(rng.choice(SEEDS), rng))


@pytest.mark.parametrize("seed", range(2))
def test_mutated_streams_give_the_same_messages_however_they_are_cut(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(ROUNDS // 5):
        check_stream(b"".join(mutate(rng.choice(SEEDS), rng) for _ in range(3)), rng)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_give_a_message_or_a_parse_error(data: bytes) -> None:
    check_datagram(data)
    check_datagram(b"OPTIONS sip:tas SIP/2.0\r\n" + data)
    check_stream(data, random.Random(0))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.sampled_from([*PIECES, b"sip:", b"a", b"SIP/2.0/UDP ", b"h"]), max_size=14).map(b"".join))
def test_header_parsers_raise_syntax_errors_only(raw: bytes) -> None:
    for parse in (parse_via, parse_uri, split_commas, parse_name_addr):
        try:
            parse(raw)
        except SipSyntaxError:
            continue


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(max_size=40), st.binary(max_size=40))
def test_no_header_value_can_add_a_line(name: bytes, value: bytes) -> None:
    request = Request(b"BYE", b"sip:a@h", [(b"call-id", b"c"), (b"x-" + name, value)])
    assert serialize(request).count(b"\r\n") == 5
    assert serialize(request).count(b"\n") == 5
