"""RFC 4475, the SIP torture tests, as far as parser and `validate` decide them.

The files lie beside the repository in shared/data/rfc4475, not in it: their copyright is the Internet Society's.
Verdicts follow the RFC's prose. Where it allows both a strict and a liberal answer, the comment says which is taken.
"""

from pathlib import Path

import pytest

from tas.sip.framer import Ping, StreamFramer
from tas.sip.message import Request, Response
from tas.sip.parser import SipParseError, parse_message, validate
from tas.sip.serializer import make_response, serialize

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "rfc4475"

ACCEPTED = None
DROPPED = 0  # a response nobody may answer

VERDICTS: dict[str, tuple[str, int | None]] = {
    # name: (section, ACCEPTED, DROPPED or the status answered)
    "wsinv": ("3.1.1.1", ACCEPTED),
    "intmeth": ("3.1.1.2", ACCEPTED),
    "esc01": ("3.1.1.3", ACCEPTED),
    "escnull": ("3.1.1.4", ACCEPTED),
    "esc02": ("3.1.1.5", ACCEPTED),
    "lwsdisp": ("3.1.1.6", ACCEPTED),
    "longreq": ("3.1.1.7", ACCEPTED),
    "dblreq": ("3.1.1.8", ACCEPTED),
    "semiuri": ("3.1.1.9", ACCEPTED),
    "transports": ("3.1.1.10", ACCEPTED),
    "mpart01": ("3.1.1.11", ACCEPTED),
    "unreason": ("3.1.1.12", ACCEPTED),
    "noreason": ("3.1.1.13", ACCEPTED),
    "badinv01": ("3.1.2.1", 400),
    "clerr": ("3.1.2.2", 400),
    "ncl": ("3.1.2.3", 400),
    "scalar02": ("3.1.2.4", 400),
    "scalarlg": ("3.1.2.5", DROPPED),
    "quotbal": ("3.1.2.6", 400),
    "ltgtruri": ("3.1.2.7", 400),
    "lwsruri": ("3.1.2.8", 400),
    "lwsstart": ("3.1.2.9", 400),
    "trws": ("3.1.2.10", 400),
    "escruri": ("3.1.2.11", 400),
    "baddate": ("3.1.2.12", ACCEPTED),  # liberal: nothing here needs the Date
    "regbadct": ("3.1.2.13", 400),
    "badaspec": ("3.1.2.14", 400),  # strict
    "baddn": ("3.1.2.15", 400),  # strict
    "badvers": ("3.1.2.16", 505),
    "mismatch01": ("3.1.2.17", 400),
    "mismatch02": ("3.1.2.18", 400),  # 501 is allowed as well
    "bigcode": ("3.1.2.19", DROPPED),
    "badbranch": ("3.2.1", ACCEPTED),  # matched the RFC 2543 way: Via.has_cookie is False
    "insuf": ("3.3.1", 400),
    "unkscm": ("3.3.2", 416),
    "novelsc": ("3.3.3", 416),
    "unksm2": ("3.3.4", ACCEPTED),  # well-formed: the registrar refuses the schemes of To and Contact
    "bext01": ("3.3.5", ACCEPTED),  # 420 is the layer's
    "invut": ("3.3.6", ACCEPTED),  # 415 is the call's
    "regaut01": ("3.3.7", ACCEPTED),  # 401 is the registrar's
    "multi01": ("3.3.8", 400),
    "mcl01": ("3.3.9", 400),
    "bcast": ("3.3.10", ACCEPTED),  # the layer drops it: the top Via is not ours
    "zeromf": ("3.3.11", ACCEPTED),  # 483 or an answer is the layer's choice
    "cparam01": ("3.3.12", ACCEPTED),
    "cparam02": ("3.3.13", ACCEPTED),
    "regescrt": ("3.3.14", ACCEPTED),
    "sdp01": ("3.3.15", ACCEPTED),  # 406 is the call's
    "inv2543": ("3.4.1", ACCEPTED),
}

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no torture messages at {DATA.parent.name}/{DATA.name}")


def read(name: str) -> bytes:
    (path,) = DATA.glob(f"*/{name}.dat")
    return path.read_bytes()


def parse(name: str) -> Request | Response:
    return parse_message(read(name))


def request(name: str) -> Request:
    message = parse(name)
    assert isinstance(message, Request)
    return message


def verdict(data: bytes) -> int | None:
    try:
        message = parse_message(data)
    except SipParseError as error:
        if error.partial is None:
            return DROPPED
        answer = parse_message(serialize(make_response(error.partial, error.status, to_tag=b"t")))
        return answer.status if isinstance(answer, Response) else DROPPED
    found = validate(message)
    if found is None:
        return ACCEPTED
    return DROPPED if isinstance(message, Response) else found[0]


def test_the_table_covers_every_message() -> None:
    assert {path.stem for path in DATA.glob("*/*.dat")} == set(VERDICTS)


@pytest.mark.parametrize("name", VERDICTS)
def test_message_gets_the_verdict_of_its_section(name: str) -> None:
    section, expected = VERDICTS[name]
    assert verdict(read(name)) == expected, f"{name}, RFC 4475 §{section}"


@pytest.mark.parametrize("name", [name for name, (_, expected) in VERDICTS.items() if expected is ACCEPTED])
def test_accepted_message_survives_serialising(name: str) -> None:
    first = parse(name)
    again = parse_message(serialize(first))
    assert validate(again) is None
    own_headers = [header for header in first.headers if header[0] != b"content-length"]
    assert [header for header in again.headers if header[0] != b"content-length"] == own_headers
    assert again.body == first.body
    assert serialize(again) == serialize(first)


def test_wsinv_is_read_through_its_white_space() -> None:
    message = request("wsinv")
    assert (message.to.tag, message.from_.tag, message.from_.display) == (
        b"1918181833n",
        b"98asjd8",
        b'J Rosenberg \\"',
    )
    assert (message.max_forwards, message.cseq, message.cseq_method) == (68, 9, b"INVITE")
    assert (message.via.transport, message.via.host, message.via.has_cookie) == (b"UDP", b"192.0.2.2", False)
    assert len(message.vias_raw) == 3
    assert message.contact is not None
    assert message.contact.params == {b"newparam": b"newvalue", b"secondparam": None, b"q": b"0.33"}
    assert len(message.body) == 150


def test_intmeth_keeps_its_odd_characters() -> None:
    message = request("intmeth")
    assert message.method == b"!interesting-Method0123456789_*+`.%indeed'~"
    assert message.parsed_uri().host == b"example.com"
    assert message.to.display == b"BEL:\x07 NUL:\x00 DEL:\x7f"
    assert message.from_.tag == b"_token~1'+`*%!-."
    assert message.from_.display == b"token1~` token2'+_ token3*%!.-"


def test_escapes_are_resolved_in_uris_and_nowhere_else() -> None:
    message = request("esc01")
    assert message.parsed_uri().user == b"sips:user@example.com"
    assert message.to.parsed_uri().user == b"user"
    assert message.from_.parsed_uri().user == b"I have spaces"
    assert message.contact is not None
    assert message.contact.parsed_uri().params == {b"lr": None, b"name": b"v%61lue%25%34%31"}
    escaped = request("esc02")
    assert escaped.method == b"RE%47IST%45R"
    assert escaped.to.display == b"%Z%45"
    assert len(escaped.values(b"contact")) == 2, "C%6Fntact is another header"


def test_nulls_are_part_of_the_user() -> None:
    message = request("escnull")
    assert message.to.parsed_uri().user == b"null-\x00-null"
    assert [len(raw) for raw in message.values(b"contact")] == [len(b"<sip:%00@host5.example.com>"), 30]


def test_second_message_of_a_datagram_is_ignored() -> None:
    message = request("dblreq")
    assert (message.method, message.body) == (b"REGISTER", b"")


def test_parameter_belongs_to_the_header_or_to_the_uri() -> None:
    first, second = request("cparam01").contact, request("cparam02").contact
    assert first is not None
    assert second is not None
    assert b"unknownparam" in first.params
    assert b"unknownparam" in second.parsed_uri().params
    assert second.params == {}


def test_long_values_are_kept_whole() -> None:
    message = request("longreq")
    assert len(message.vias_raw) == 34
    assert message.to.parsed_uri().port == 6000


def test_reason_phrases_are_optional_and_may_be_utf8() -> None:
    unusual, empty = parse("unreason"), parse("noreason")
    assert isinstance(unusual, Response)
    assert isinstance(empty, Response)
    assert unusual.reason.decode().startswith("= 2**3 * 5**2 но сто")
    assert (empty.status, empty.reason) == (100, b"")


def test_valid_requests_come_out_of_a_stream_as_from_datagrams() -> None:
    names = ["wsinv", "intmeth", "esc01", "esc02", "escnull", "lwsdisp", "longreq", "semiuri", "transports", "mpart01"]
    stream = b"".join(serialize(parse(name)) for name in names)
    framer = StreamFramer()
    items = []
    for begin in range(0, len(stream), 100):
        items += framer.feed(stream[begin : begin + 100])
    assert [item.method for item in items if isinstance(item, Request)] == [request(name).method for name in names]


def test_two_requests_in_one_stream_are_both_read() -> None:
    # §3.1.1.8 is one message in a datagram, but two on a stream.
    items = StreamFramer().feed(read("dblreq"))
    assert [item.method for item in items if isinstance(item, Request)] == [b"REGISTER", b"INVITE"]
    assert not any(isinstance(item, Ping) for item in items)
