import gc

import pytest

from tas.sip.message import MAX_CSEQ, Request, Response, SipSyntaxError


def request(*headers: tuple[bytes, bytes]) -> Request:
    return Request(b"INVITE", b"sip:8000@tas", list(headers))


def test_get_gives_the_first_line_and_none_when_absent() -> None:
    message = request((b"via", b"one"), (b"via", b"two"))
    assert message.get(b"via") == b"one"
    assert message.get_all(b"via") == [b"one", b"two"]
    assert message.get(b"route") is None
    assert message.get_all(b"route") == []


def test_values_splits_comma_lists_over_all_lines() -> None:
    message = request((b"route", b'"a,b" <sip:1@h>, <sip:2@h;x=1,2>'), (b"to", b"x"), (b"route", b"<sip:3@h>, ,"))
    assert message.values(b"route") == [b'"a,b" <sip:1@h>', b"<sip:2@h;x=1,2>", b"<sip:3@h>"]
    assert message.routes == message.values(b"route")


def test_routing_headers_are_parsed_and_kept() -> None:
    message = request(
        (b"via", b"SIP/2.0/UDP h;branch=z9hG4bKtop , SIP/2.0/TCP g"),
        (b"from", b'"Anna" <sip:a@h>;tag=ft'),
        (b"to", b"<sip:8000@tas>"),
        (b"call-id", b"abc@h"),
        (b"cseq", b"0009   INVITE"),
        (b"contact", b"<sip:a@10.0.0.1>, <sip:b@h>"),
        (b"record-route", b"<sip:p1;lr>, <sip:p2;lr>"),
        (b"max-forwards", b"0068"),
        (b"content-type", b"Application/SDP ; charset=x"),
    )
    assert message.via.branch == b"z9hG4bKtop"
    assert message.vias_raw == [b"SIP/2.0/UDP h;branch=z9hG4bKtop", b"SIP/2.0/TCP g"]
    assert (message.from_.tag, message.to.tag, message.call_id) == (b"ft", None, b"abc@h")
    assert (message.cseq, message.cseq_method, message.max_forwards) == (9, b"INVITE", 68)
    assert message.contact is not None
    assert message.contact.uri == b"sip:a@10.0.0.1"
    assert message.record_routes == [b"<sip:p1;lr>", b"<sip:p2;lr>"]
    assert message.content_type == b"application/sdp"
    assert message.via is message.via
    assert message.to is message.to
    assert message.parsed_uri() is message.parsed_uri()


def test_absent_optional_headers_are_none_or_empty() -> None:
    message = request()
    assert message.contact is None
    assert message.max_forwards is None
    assert message.content_type == b""
    assert message.record_routes == []


@pytest.mark.parametrize("name", ["via", "from_", "to", "call_id", "cseq", "cseq_method"])
def test_absent_mandatory_header_is_named_in_the_error(name: str) -> None:
    with pytest.raises(SipSyntaxError, match="missing"):
        getattr(request(), name)


@pytest.mark.parametrize(
    "raw", [b"", b"1", b"INVITE 1", b"-1 INVITE", b"1 INVITE x", b"%d INVITE" % (MAX_CSEQ + 1), b"9" * 400 + b" BYE"]
)
def test_malformed_cseq_is_refused_every_time(raw: bytes) -> None:
    message = request((b"cseq", raw))
    for _ in range(2):
        with pytest.raises(SipSyntaxError, match="CSeq"):
            _ = message.cseq
        with pytest.raises(SipSyntaxError, match="CSeq"):
            _ = message.cseq_method


def test_highest_cseq_is_accepted() -> None:
    assert request((b"cseq", b"%d INVITE" % MAX_CSEQ)).cseq == MAX_CSEQ


@pytest.mark.parametrize("raw", [b"", b"a b"])
def test_malformed_call_id_is_refused(raw: bytes) -> None:
    with pytest.raises(SipSyntaxError, match="Call-ID"):
        _ = request((b"call-id", raw)).call_id


@pytest.mark.parametrize("raw", [b"256", b"-1", b"x"])
def test_max_forwards_out_of_range_is_refused(raw: bytes) -> None:
    with pytest.raises(SipSyntaxError, match="Max-Forwards"):
        _ = request((b"max-forwards", raw)).max_forwards


def test_star_contact_has_the_star_as_uri() -> None:
    contact = request((b"contact", b"*")).contact
    assert contact is not None
    assert contact.uri == b"*"


def test_changing_headers_drops_what_was_parsed() -> None:
    message = request((b"via", b"SIP/2.0/UDP a"), (b"to", b"<sip:x@h>"), (b"cseq", b"1 INVITE"))
    assert (message.via.host, message.to.tag, message.cseq) == (b"a", None, 1)
    message.set(b"to", b"<sip:x@h>;tag=1")
    message.prepend(b"via", b"SIP/2.0/TCP b")
    message.set(b"cseq", b"2 INVITE")
    message.set(b"expires", b"60")
    assert (message.via.host, message.to.tag, message.cseq) == (b"b", b"1", 2)
    assert message.headers == [
        (b"via", b"SIP/2.0/TCP b"),
        (b"via", b"SIP/2.0/UDP a"),
        (b"to", b"<sip:x@h>;tag=1"),
        (b"cseq", b"2 INVITE"),
        (b"expires", b"60"),
    ]
    message.remove(b"via")
    assert message.get(b"via") is None
    with pytest.raises(SipSyntaxError, match="missing Via"):
        _ = message.via


def test_repr_is_short() -> None:
    assert repr(request()) == "Request(b'INVITE', b'sip:8000@tas')"
    assert repr(Response(200, b"OK", [])) == "Response(200, b'OK')"


def test_messages_leave_no_cycles_behind() -> None:
    gc.collect()
    for _ in range(100):
        message = request((b"via", b"SIP/2.0/UDP a"), (b"to", b"<sip:x@h>"), (b"from", b"<sip:x@h>;tag=1"))
        _ = message.via, message.to.parsed_uri(), message.from_, message.parsed_uri()
        del message
    assert gc.collect() == 0
