import pytest

from tas.sip.message import Request, Response
from tas.sip.parser import (
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    SipParseError,
    parse_message,
    validate,
)
from tas.sip.serializer import make_response, serialize

HEADERS = (
    b"Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nTo: <sip:8000@tas>\r\n"
    b"From: <sip:1@h>;tag=f\r\nCall-ID: c@h\r\nCSeq: 1 INVITE\r\n"
)


def invite(start: bytes = b"INVITE sip:8000@tas SIP/2.0", extra: bytes = b"", body: bytes = b"") -> bytes:
    return start + b"\r\n" + HEADERS + extra + b"\r\n" + body


def parse_request(data: bytes) -> Request:
    message = parse_message(data)
    assert isinstance(message, Request)
    return message


def error_of(data: bytes) -> SipParseError:
    with pytest.raises(SipParseError) as caught:
        parse_message(data)
    return caught.value


def verdict_on(data: bytes) -> tuple[int, str] | None:
    return validate(parse_message(data))


def test_request_has_method_uri_headers_and_body() -> None:
    message = parse_request(invite(extra=b"Content-Length: 4\r\n", body=b"v=0\n"))
    assert (message.method, message.uri, message.body) == (b"INVITE", b"sip:8000@tas", b"v=0\n")
    assert message.headers[0] == (b"via", b"SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1")
    assert message.headers[-1] == (b"content-length", b"4")
    assert validate(message) is None


def test_response_has_status_and_reason() -> None:
    message = parse_message(b"SIP/2.0 180 Ringing  now\r\n" + HEADERS + b"\r\n")
    assert isinstance(message, Response)
    assert (message.status, message.reason) == (180, b"Ringing  now")
    assert validate(message) is None


@pytest.mark.parametrize("line", [b"SIP/2.0 200 ", b"SIP/2.0 200", b"sip/2.0 200 "])
def test_response_without_reason_is_accepted(line: bytes) -> None:
    message = parse_message(line + b"\r\n" + HEADERS + b"\r\n")
    assert isinstance(message, Response)
    assert (message.status, message.reason) == (200, b"")


def test_version_compares_without_case() -> None:
    assert parse_request(invite(b"INVITE sip:8000@tas sip/2.0")).uri == b"sip:8000@tas"


def test_compact_odd_and_folded_headers_are_made_canonical() -> None:
    message = parse_request(
        b"OPTIONS sip:tas SIP/2.0\r\nv  : SIP  / 2.0\r\n /UDP\r\n\th;branch=1\r\nT:\r\n <sip:a@h>\r\nf:<sip:b@h>;\r\n"
        b"  tag = x\r\nI:c\r\ncseq: 0009\r\n  OPTIONS\r\nL:0\r\nX-Own:\r\ns :\r\n\r\n"
    )
    assert message.headers == [
        (b"via", b"SIP  / 2.0 /UDP h;branch=1"),
        (b"to", b"<sip:a@h>"),
        (b"from", b"<sip:b@h>; tag = x"),
        (b"call-id", b"c"),
        (b"cseq", b"0009 OPTIONS"),
        (b"content-length", b"0"),
        (b"x-own", b""),
        (b"subject", b""),
    ]
    assert validate(message) is None
    assert (message.via.transport, message.from_.tag, message.cseq) == (b"UDP", b"x", 9)


def test_leading_line_breaks_are_skipped() -> None:
    assert parse_request(b"\r\n\r\n" + invite()).method == b"INVITE"


def test_missing_empty_line_at_the_end_of_a_datagram_is_forgiven() -> None:
    assert parse_request(invite()[:-2]).call_id == b"c@h"
    assert parse_request(invite()[:-4]).cseq == 1


def test_body_without_content_length_is_the_rest_of_the_datagram() -> None:
    assert parse_request(invite(body=b"v=0\r\n")).body == b"v=0\r\n"


def test_bytes_beyond_content_length_are_dropped() -> None:
    assert parse_request(invite(extra=b"l: 3\r\n", body=b"v=0junk")).body == b"v=0"


def test_content_length_beyond_the_datagram_is_answered_400() -> None:
    error = error_of(invite(extra=b"Content-Length: 5\r\n", body=b"v=0"))
    assert (error.status, error.reason) == (400, "Content-Length exceeds the datagram")
    assert error.partial is not None


@pytest.mark.parametrize("value", [b"-1", b"x", b"", b"1 2", b"9" * 30])
def test_content_length_that_is_no_number_is_answered_400(value: bytes) -> None:
    error = error_of(invite(extra=b"Content-Length: " + value + b"\r\n"))
    assert error.status == 400
    assert "Content-Length" in error.reason


def test_conflicting_content_lengths_are_refused_and_equal_ones_accepted() -> None:
    assert error_of(invite(extra=b"l: 1\r\nContent-Length: 2\r\n", body=b"xx")).reason == "Conflicting Content-Length"
    assert parse_request(invite(extra=b"l: 1\r\nContent-Length : 01\r\n", body=b"x")).body == b"x"


@pytest.mark.parametrize(
    "start",
    [
        b"INVITE  sip:8000@tas  SIP/2.0",
        b"INVITE sip:8000@tas SIP/2.0 ",
        b"INVITE sip:8000@tas; lr SIP/2.0",
        b"INVITE sip:8000@tas",
        b"INVITE",
        b"INVITE  SIP/2.0",
        b"IN(VITE sip:8000@tas SIP/2.0",
        b" sip:8000@tas SIP/2.0",
        b"INVITE sip:8000@tas HTTP/1.1",
        b"",
    ],
)
def test_malformed_request_line_is_answered_400_with_the_headers_read(start: bytes) -> None:
    data = invite(start) if start else b":\r\n" + HEADERS + b"\r\n"
    error = error_of(data)
    assert (error.status, error.reason) == (400, "Malformed request line")
    assert error.partial is not None
    answer = serialize(make_response(error.partial, error.status, error.reason.encode(), to_tag=b"t"))
    assert answer.startswith(
        b"SIP/2.0 400 Malformed request line\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1\r\n"
    )
    assert b"\r\nTo: <sip:8000@tas>;tag=t\r\n" in answer


def test_other_sip_version_is_answered_505() -> None:
    assert error_of(invite(b"INVITE sip:8000@tas SIP/7.0")).status == 505


@pytest.mark.parametrize(
    "line",
    [b"SIP/2.0 4294967301 x", b"SIP/2.0 099 x", b"SIP/2.0 700 x", b"SIP/2.0 2x0 x", b"SIP/2.0", b"SIP/3.0 200 OK",
     b"SIP/2.0  200 OK"],
)  # fmt: skip
def test_malformed_response_cannot_be_answered(line: bytes) -> None:
    assert error_of(line + b"\r\n" + HEADERS + b"\r\n").partial is None


def test_malformed_ack_is_never_answered() -> None:
    assert error_of(invite(b"ACK sip:8000@tas SIP/2.0", extra=b"no colon\r\n")).partial is None


@pytest.mark.parametrize(
    "data",
    [b"", b"\r\n", b"\r\n\r\n", b"\0\0\0\0", b"GET / HTTP/1.1\r\nHost: tas\r\n\r\n", b"\x80\xffjunk", b"a" * 70_000],
)
def test_bytes_that_are_no_sip_are_dropped(data: bytes) -> None:
    assert error_of(data).partial is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"no colon", "Header without colon"),
        (b"bad name: x", "Malformed header name"),
        (b": x", "Malformed header name"),
        (b"X: a\rVia: b", "Bare CR or LF"),
        (b"X: a\nVia: b", "Bare CR or LF"),
        (b"X: a\n\rVia: b", "Header without colon"),
    ],
)
def test_malformed_header_line_is_answered_400(line: bytes, reason: str) -> None:
    error = error_of(invite(extra=line + b"\r\n"))
    assert (error.status, error.reason) == (400, reason)
    assert error.partial is not None


def test_folding_before_any_header_is_refused() -> None:
    assert error_of(b"INVITE sip:8000@tas SIP/2.0\r\n folded\r\n" + HEADERS + b"\r\n").partial is None


def test_message_is_accepted_at_the_header_limits_and_refused_beyond() -> None:
    lines = MAX_HEADERS - 1 - HEADERS.count(b"\r\n")
    assert len(parse_request(invite(extra=b"X-Own: 1\r\n" * lines)).headers) == MAX_HEADERS - 1
    assert error_of(invite(extra=b"X-Own: 1\r\n" * (lines + 1))).reason == "Too many headers"
    filler = MAX_HEADER_BYTES - (len(invite()) - 4) - len(b"X-Own: \r\n")
    assert parse_request(invite(extra=b"X-Own: " + b"a" * filler + b"\r\n")).get(b"x-own") == b"a" * filler
    assert error_of(invite(extra=b"X-Own: " + b"a" * (filler + 1) + b"\r\n")).status == 513


@pytest.mark.parametrize("name", [b"Via", b"To", b"From", b"Call-ID", b"CSeq"])
def test_missing_mandatory_header_is_named(name: bytes) -> None:
    data = b"\r\n".join(line for line in invite().split(b"\r\n") if not line.startswith(name + b":"))
    assert verdict_on(data) == (400, f"Missing {name.decode()}")


@pytest.mark.parametrize("line", [b"To: <sip:a@h>", b"f: <sip:a@h>", b"i: x", b"CSeq: 1 INVITE", b"Max-Forwards: 1"])
def test_second_value_of_a_single_header_is_refused(line: bytes) -> None:
    verdict = verdict_on(invite(extra=line + b"\r\n"))
    assert verdict is not None
    assert verdict[1].startswith("More than one")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1", b"SIP/2.0/UDP 192.0.2.15;;,;,,", "Via: malformed parameter"),
        (b"To: <sip:8000@tas>", b'To: "Mr <sip:8000@tas>', "To: unbalanced quotes"),
        (b"To: <sip:8000@tas>", b"To: < sip:8000@tas >", "To: malformed URI"),
        (b"From: <sip:1@h>", b"From: <sip:@h>", "From: empty user in URI"),
        (b"Call-ID: c@h", b"Call-ID:", "Malformed Call-ID"),
        (b"CSeq: 1 INVITE", b"CSeq: 1", "Malformed CSeq"),
        (b"CSeq: 1 INVITE", b"CSeq: 2147483648 INVITE", "CSeq out of range"),
        (b"CSeq: 1 INVITE", b"CSeq: 1 BYE", "CSeq method does not match"),
        (b"Max-Forwards: 70", b"Max-Forwards: 300", "Max-Forwards out of range"),
        (b"Max-Forwards: 70", b"Contact: <sip:a@h>, <nothing>", "Contact: malformed URI"),
        (b"Max-Forwards: 70", b"Record-Route: <sip:p;lr>, <>", "Record-Route: malformed URI"),
        (b"Max-Forwards: 70", b"Route: sip:a@h?x=y", "Route: URI needs angle brackets"),
        (b"INVITE sip:8000@tas SIP", b"INVITE <sip:8000@tas> SIP", "Malformed URI"),
        (b"INVITE sip:8000@tas SIP", b"INVITE sip:8000@tas?Route=%3Csip:x%3E SIP", "Headers in Request-URI"),
    ],
)
def test_malformed_header_is_answered_400_with_its_name(old: bytes, new: bytes, reason: str) -> None:
    assert verdict_on(invite().replace(old, new)) == (400, reason)


def test_unknown_scheme_of_the_request_uri_is_answered_416() -> None:
    assert verdict_on(invite(b"INVITE soap.beep://192.0.2.103:3002 SIP/2.0")) == (416, "Unsupported URI Scheme")


def test_tel_and_sips_request_uris_are_well_formed() -> None:
    assert verdict_on(invite(b"INVITE tel:+4687570000 SIP/2.0")) is None
    assert verdict_on(invite(b"INVITE sips:8000@tas SIP/2.0")) is None


def test_request_of_an_rfc2543_peer_is_accepted() -> None:
    # RFC 4475 §3.4.1: no branch, no From tag, no Max-Forwards, no Content-Length
    data = (
        b"INVITE sip:8000@tas SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nTo: sip:8000@tas\r\nFrom: sip:1@h\r\nCall-ID: c\r\n"
        b"CSeq: 1 INVITE\r\n\r\n"
    )
    assert verdict_on(data) is None


def test_star_contact_is_well_formed() -> None:
    assert verdict_on(invite(extra=b"Contact: *\r\n")) is None
