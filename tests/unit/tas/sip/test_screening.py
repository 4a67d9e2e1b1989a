"""Screening: what is refused before anybody looks at a request's meaning."""

from tas.sip.core import LayerSettings
from tas.sip.screening import Screen
from tests.unit.tas.sip.support import SDP, make_request

SCREEN = Screen(LayerSettings(allow=b"INVITE, ACK, OPTIONS", supported=(b"timer",)))


def test_allowed_method_passes_known_is_405_and_unknown_501() -> None:
    assert SCREEN.method(make_request(b"OPTIONS")) is None
    assert SCREEN.method(make_request(b"BYE")) == (405, [(b"allow", b"INVITE, ACK, OPTIONS")])
    assert SCREEN.method(make_request(b"invite")) == (501, [(b"allow", b"INVITE, ACK, OPTIONS")])


def test_required_extension_passes_only_when_supported() -> None:
    assert SCREEN.content(make_request(extra=b"Require: TIMER\r\n")) is None
    assert SCREEN.content(make_request(extra=b"Require: timer\r\nRequire: path\r\n")) == (
        420,
        [(b"unsupported", b"path")],
    )


def test_sdp_passes_whatever_the_case_of_its_type() -> None:
    assert SCREEN.content(make_request(extra=b"Content-Type: Application/SDP;x=1\r\n", body=SDP)) is None


def test_body_of_a_request_that_makes_no_offer_may_be_anything() -> None:
    assert SCREEN.content(make_request(b"INFO", extra=b"Content-Type: application/dtmf\r\n", body=b"5")) is None


def test_accept_must_leave_room_for_sdp() -> None:
    assert SCREEN.content(make_request(extra=b"Accept: text/plain, application/sdp;q=0.5\r\n")) is None
    assert SCREEN.content(make_request(extra=b"Accept: */*\r\n")) is None
    assert SCREEN.content(make_request(extra=b"Accept: text/plain\r\n")) == (406, [(b"accept", b"application/sdp")])
    assert SCREEN.content(make_request(b"OPTIONS", extra=b"Accept: text/plain\r\n")) is None


def test_only_sip_uris_are_served_and_sips_over_tls_only() -> None:
    assert SCREEN.target(make_request(uri=b"SIP:a@b"), False) is None
    assert SCREEN.target(make_request(uri=b"sips:a@b"), False) == (416, [])
    assert SCREEN.target(make_request(uri=b"SIPS:a@b"), True) is None
    assert SCREEN.target(make_request(uri=b"tel:12"), True) == (416, [])
