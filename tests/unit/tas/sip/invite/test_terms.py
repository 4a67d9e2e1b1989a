"""RFC 4028 §7 and §9 as arithmetic: which interval, who refreshes, what the headers say."""

from __future__ import annotations

import pytest

from tas.sip.grammar import SipSyntaxError
from tas.sip.invite.terms import (
    ACCEPT_ONLY,
    LEAST_INTERVAL_S,
    IntervalTooSmall,
    SessionPolicy,
    Terms,
    answer_terms,
    answered_terms,
    interval_of,
    min_se_of,
    render_answer,
    render_refresh,
    render_wish,
)
from tas.sip.message import Response
from tests.unit.tas.sip.support import make_request

TIMER = b"Supported: 100rel, Timer\r\n"
ASKS = SessionPolicy(600, 90, "any")


@pytest.mark.parametrize(
    ("header", "policy", "current", "expected"),
    [
        # RFC 4028 table 2: who refreshes, by what the caller supports and says.
        (b"Session-Expires: 1800\r\n", ACCEPT_ONLY, None, Terms(1800, True)),
        (b"Session-Expires: 1800\r\n" + TIMER, ACCEPT_ONLY, None, Terms(1800, False)),
        (b"x: 1800;refresher=uac\r\n" + TIMER, ACCEPT_ONLY, None, Terms(1800, False)),
        (b"Session-Expires: 1800 ;refresher=UAS\r\nk: timer\r\n", ACCEPT_ONLY, None, Terms(1800, True)),
        (b"Session-Expires: 1800\r\nRequire: timer\r\n", ACCEPT_ONLY, None, Terms(1800, False)),
        (b"Session-Expires: 1800\r\n" + TIMER, SessionPolicy(0, 90, "us"), None, Terms(1800, True)),
        (b"Session-Expires: 1800;refresher=uac\r\n" + TIMER, SessionPolicy(0, 90, "us"), None, Terms(1800, False)),
        # Nobody asks; we ask.
        (TIMER, ACCEPT_ONLY, None, None),
        (b"", ASKS, None, Terms(600, True)),
        (TIMER, ASKS, None, Terms(600, True)),
        (TIMER, SessionPolicy(600, 90, "peer"), None, Terms(600, False)),
        (b"Min-SE: 900\r\n", ASKS, None, Terms(900, True)),
        # We shorten what is asked for, never below anybody's Min-SE, never above what was asked.
        (b"Session-Expires: 1800\r\n" + TIMER, ASKS, None, Terms(600, False)),
        (b"Session-Expires: 1800\r\nMin-SE: 900\r\n" + TIMER, ASKS, None, Terms(900, False)),
        (b"Session-Expires: 300\r\n" + TIMER, ASKS, None, Terms(300, False)),
        # A proxy's short interval for a caller without the extension cannot be refused (§9).
        (b"Session-Expires: 60\r\n", ACCEPT_ONLY, None, Terms(60, True)),
        # Inside the dialog: a request without the header keeps what is in force, one that has it may change the roles.
        (TIMER, ACCEPT_ONLY, Terms(1800, False), Terms(1800, False)),
        (TIMER, ACCEPT_ONLY, Terms(1800, True), Terms(1800, True)),
        (b"", ACCEPT_ONLY, Terms(1800, False), Terms(1800, True)),
        (b"Session-Expires: 300;refresher=uac\r\n" + TIMER, ACCEPT_ONLY, Terms(1800, True), Terms(300, False)),
    ],
)
def test_answer_to_the_peer_settles_interval_and_refresher(
    header: bytes, policy: SessionPolicy, current: Terms | None, expected: Terms | None
) -> None:
    assert answer_terms(make_request(extra=header), policy, current) == expected


def test_interval_below_ours_is_too_small_for_a_peer_with_the_extension() -> None:
    with pytest.raises(IntervalTooSmall):
        answer_terms(make_request(extra=b"Session-Expires: 89\r\n" + TIMER), ACCEPT_ONLY, None)
    with pytest.raises(IntervalTooSmall):
        answer_terms(make_request(extra=b"Session-Expires: 299\r\n" + TIMER), SessionPolicy(0, 300), None)


@pytest.mark.parametrize("value", [b"", b"soon", b"-1", b"90 seconds", b"99999999999", b"1800;=x"])
def test_unreadable_interval_is_a_syntax_error(value: bytes) -> None:
    with pytest.raises(SipSyntaxError):
        interval_of(make_request(extra=b"Session-Expires: %b\r\n" % value))


@pytest.mark.parametrize(
    ("value", "expected"), [(None, 90), (b"300", 300), (b"30", 90), (b"x", 90), (b" 120 ;a=b", 120)]
)
def test_min_se_is_at_least_90(value: bytes | None, expected: int) -> None:
    assert min_se_of(make_request(extra=b"" if value is None else b"Min-SE: %b\r\n" % value)) == expected


@pytest.mark.parametrize(
    ("value", "asked_s", "expected"),
    [
        (b"1800;refresher=uas", 0, Terms(1800, False)),
        (b"1800;refresher=uac", 0, Terms(1800, True)),
        (b"1800", 0, Terms(1800, True)),
        (None, 0, None),
        (None, 600, Terms(600, True)),
        (b"never", 600, Terms(600, True)),
        (b"1;refresher=uac", 0, Terms(LEAST_INTERVAL_S, True)),
    ],
)
def test_2xx_settles_interval_and_refresher(value: bytes | None, asked_s: int, expected: Terms | None) -> None:
    headers = [] if value is None else [(b"session-expires", value)]
    assert answered_terms(Response(200, b"OK", headers), asked_s) == expected


def test_refresher_of_our_2xx_must_know_the_extension() -> None:
    assert render_answer(Terms(90, True)) == b"\r\nSession-Expires: 90;refresher=uas"
    assert render_answer(Terms(90, False)) == b"\r\nSession-Expires: 90;refresher=uac\r\nRequire: timer"


def test_our_requests_say_interval_role_and_least_interval() -> None:
    assert render_wish(SessionPolicy(600)) == b"\r\nSession-Expires: 600"
    assert render_wish(SessionPolicy(600, 300, "us")) == b"\r\nSession-Expires: 600;refresher=uac\r\nMin-SE: 300"
    assert render_wish(SessionPolicy(600, 90, "peer")) == b"\r\nSession-Expires: 600;refresher=uas"
    assert render_refresh(Terms(600, True), 90) == b"\r\nSession-Expires: 600;refresher=uac"
    assert render_refresh(Terms(600, False), 120) == b"\r\nSession-Expires: 600;refresher=uas\r\nMin-SE: 120"
