import pytest

from tas.sip.message import Request, Response
from tas.sip.parser import parse_message
from tas.sip.serializer import make_request, make_response, serialize

INVITE = (
    b"INVITE sip:8000@tas SIP/2.0\r\nVia: SIP/2.0/UDP p;branch=z9hG4bK2\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n"
    b"Record-Route: <sip:p;lr>\r\nMax-Forwards: 70\r\nTo: <sip:8000@tas>\r\nFrom: <sip:1@h>;tag=f\r\nCall-ID: c@h\r\n"
    b"CSeq: 1 INVITE\r\nTimestamp: 54\r\nContact: <sip:1@a>\r\nX-Own-Header: y\r\nWWW-Authenticate: z\r\n"
    b"Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n"
)


def invite() -> Request:
    message = parse_message(INVITE)
    assert isinstance(message, Request)
    return message


def test_parsed_message_is_serialised_to_the_same_bytes() -> None:
    assert serialize(invite()) == INVITE


def test_response_is_serialised_to_the_same_bytes() -> None:
    data = INVITE.replace(b"INVITE sip:8000@tas SIP/2.0", b"SIP/2.0 183 Session Progress", 1)
    assert serialize(parse_message(data)) == data


def test_content_length_follows_the_body() -> None:
    message = invite()
    message.body = b""
    assert serialize(message).endswith(b"Content-Length: 0\r\n\r\n")
    built = make_request(b"INFO", b"sip:a@h", [(b"call-id", b"c")], b"Signal=1\r\n", b"application/dtmf-relay")
    assert serialize(built) == (
        b"INFO sip:a@h SIP/2.0\r\nCall-ID: c\r\nContent-Type: application/dtmf-relay\r\nContent-Length: 10\r\n\r\n"
        b"Signal=1\r\n"
    )


def test_second_content_length_is_not_sent() -> None:
    message = make_request(b"BYE", b"sip:a@h", [(b"content-length", b"7"), (b"content-length", b"9")])
    assert serialize(message) == b"BYE sip:a@h SIP/2.0\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    "value", [b"a\r\nVia: evil", b"a\nVia: evil", b"a\rVia: evil", b"\r\nVia: evil", b"a\r\n\r\nINVITE x"]
)
def test_line_break_in_a_value_cannot_add_headers(value: bytes) -> None:
    message = make_request(b"BYE", b"sip:a@h", [(b"call-id", b"c"), (b"subject", value), (b"x-own", b"y")])
    parsed = parse_message(serialize(message))
    assert [name for name, _ in parsed.headers] == [b"call-id", b"subject", b"x-own", b"content-length"]
    assert parsed.get(b"subject") == value.replace(b"\r", b" ").replace(b"\n", b" ").strip()


def test_line_break_in_start_line_cannot_add_headers() -> None:
    response = Response(500, b"bad\r\nVia: evil", [(b"call-id", b"c")])
    assert serialize(response) == b"SIP/2.0 500 bad  Via: evil\r\nCall-ID: c\r\nContent-Length: 0\r\n\r\n"


def test_response_copies_what_the_rfc_says() -> None:
    response = make_response(invite(), 200, to_tag=b"t", headers=[(b"contact", b"<sip:tas>")], body=b"v=0\r\n")
    assert serialize(response) == (
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP p;branch=z9hG4bK2\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n"
        b"Record-Route: <sip:p;lr>\r\nTo: <sip:8000@tas>;tag=t\r\nFrom: <sip:1@h>;tag=f\r\nCall-ID: c@h\r\n"
        b"CSeq: 1 INVITE\r\nContact: <sip:tas>\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n"
    )


@pytest.mark.parametrize(("status", "copied"), [(100, False), (180, True), (200, True), (302, False), (486, False)])
def test_record_route_goes_into_dialog_creating_responses_only(status: int, copied: bool) -> None:
    assert (make_response(invite(), status).get(b"record-route") is not None) == copied


def test_trying_copies_the_timestamp() -> None:
    assert make_response(invite(), 100).get(b"timestamp") == b"54"
    assert make_response(invite(), 200).get(b"timestamp") is None


def test_to_tag_is_not_added_twice() -> None:
    request = invite()
    request.set(b"to", b"<sip:8000@tas>;tag=theirs")
    assert make_response(request, 200, to_tag=b"ours").to.tag == b"theirs"


def test_malformed_to_is_echoed() -> None:
    request = invite()
    request.set(b"to", b'"open <sip:8000@tas>')
    assert make_response(request, 400, to_tag=b"t").get(b"to") == b'"open <sip:8000@tas>'


def test_reason_defaults_to_the_registered_phrase() -> None:
    assert make_response(invite(), 486).reason == b"Busy Here"
    assert make_response(invite(), 400, b"Missing To").reason == b"Missing To"
    assert make_response(invite(), 499).reason == b""
