"""Heads: requests and responses rendered from the parts they share."""

from tas.sip.heads import ReplyHead, render_headers
from tas.sip.message import Request, Response
from tas.sip.parser import parse_message, validate
from tests.unit.tas.sip.support import SDP, header, make_head, make_request


def test_rendered_request_is_valid_and_parses_to_its_parts() -> None:
    extra = render_headers(((b"contact", b"<sip:x@y>"), (b"content-type", b"application/sdp")))
    message = parse_message(make_head().render(b"INVITE", extra, SDP))
    assert isinstance(message, Request)
    assert validate(message) is None
    assert (message.method, message.uri, message.call_id, message.cseq) == (b"INVITE", b"sip:b@192.0.2.9", b"c", 1)
    assert message.max_forwards == 70
    assert message.body == SDP


def test_response_copies_vias_from_call_id_and_cseq_and_adds_the_tag() -> None:
    request = make_request(extra=b"Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK2\r\n")
    message = parse_message(ReplyHead(request).render(180, None, b"ours"))
    assert isinstance(message, Response)
    assert (message.status, message.reason) == (180, b"Ringing")
    assert message.vias_raw == request.vias_raw
    assert message.to.tag == b"ours"
    for name in (b"from", b"call-id", b"cseq"):
        assert message.get(name) == request.get(name)


def test_tag_of_the_request_is_kept() -> None:
    data = ReplyHead(make_request(b"BYE", to=b"<sip:b@b>;tag=mine")).render(200, None, b"other")
    assert header(data, b"To") == b"<sip:b@b>;tag=mine"


def test_timestamp_is_copied_into_100_only() -> None:
    head = ReplyHead(make_request(extra=b"Timestamp: 54\r\n"))
    assert header(head.render(100, None), b"Timestamp") == b"54"
    assert header(head.render(200, None), b"Timestamp") == b""


def test_content_length_is_always_the_true_one() -> None:
    data = make_head().render(b"INFO", render_headers(((b"content-length", b"99"),)), b"12345")
    assert data.count(b"Content-Length") == 1
    assert header(data, b"Content-Length") == b"5"
