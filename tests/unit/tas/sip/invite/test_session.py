"""Session timers of one leg (RFC 4028), both sides of the call: every row of the table, on the wire."""

from __future__ import annotations

import pytest

from tas.sip.events import (
    EndCause,
    InviteReceived,
    UsageAnswered,
    UsageConfirmed,
    UsageEnded,
    UsageReinviteDone,
    UsageRejected,
)
from tas.sip.invite.session import ROWS
from tas.sip.invite.terms import ACCEPT_ONLY, SessionPolicy
from tas.sip.invite.usage import InviteUsage
from tas.sip.message import Request
from tests.unit.tas.sip.invite.test_usage import inside
from tests.unit.tas.sip.support import SDP, Bench, header, make_answer, make_request, start_line

MINE = SDP.replace(b"4000", b"6000")
ALLOW = b"Allow: INVITE, ACK, BYE, UPDATE\r\n"
PLAIN = b"Allow: INVITE, ACK, BYE\r\n"
TIMER = b"Supported: timer\r\n"


def called(
    bench: Bench, extra: bytes, policy: SessionPolicy = ACCEPT_ONLY, *, allow: bytes = ALLOW
) -> tuple[InviteUsage, bytes, bytes]:
    """A received call, answered and acknowledged; our To and our 200."""
    bench.receive(make_request(body=SDP, extra=extra + allow))
    event = bench.event()
    assert isinstance(event, InviteReceived)
    assert event.usage.settle_session(event.request, policy) is None
    event.usage.answer(MINE, bench.now)
    answer = bench.sent()[-1]
    to = header(answer, b"To")
    bench.receive(inside(b"ACK", to, 1))
    assert isinstance(bench.event(), UsageConfirmed)
    return event.usage, to, answer


def calling(bench: Bench, policy: SessionPolicy = ACCEPT_ONLY) -> tuple[InviteUsage, bytes]:
    """A call of ours and its INVITE."""
    usage = bench.layer.invite(
        uri=b"sip:b@192.0.2.9", flow=bench.flow, from_=b"<sip:a@x>", to=b"<sip:b@x>", body=MINE, session=policy,
        now=bench.now,
    )  # fmt: skip
    return usage, bench.one()


def connected(bench: Bench, extra: bytes, policy: SessionPolicy = ACCEPT_ONLY) -> InviteUsage:
    """A call of ours, answered and acknowledged."""
    usage, invite = calling(bench, policy)
    bench.receive(make_answer(invite, 200, extra=b"Contact: <sip:b@192.0.2.9:5060>\r\n" + extra, body=SDP))
    assert isinstance(bench.event(), UsageAnswered)
    bench.sent()
    return usage


def refresh(bench: Bench, after_s: float) -> bytes:
    """Our refresh, sent exactly `after_s` from now and not sooner."""
    bench.pass_time(after_s - 0.01)
    assert bench.sent() == []
    bench.pass_time(0.01)
    return bench.one()


def assert_expires(bench: Bench, after_s: float) -> None:
    """The call ends with BYE and Reason exactly `after_s` from now."""
    bench.pass_time(after_s - 0.01)
    assert bench.sent() == []
    assert bench.events() == []
    bench.pass_time(0.01)
    bye = bench.one()
    assert start_line(bye) == b"BYE"
    assert header(bye, b"Reason") == b'SIP;cause=408;text="Session expired"'
    event = bench.event()
    assert isinstance(event, UsageEnded)
    assert (event.cause, event.status) == (EndCause.TIMEOUT, 408)
    bench.receive(make_answer(bye, 200))
    del event
    bench.run_out()


def peer_update(to: bytes, cseq: int, extra: bytes = b"Session-Expires: 1800;refresher=uac\r\n" + TIMER) -> Request:
    return inside(b"UPDATE", to, cseq, extra=extra)


def test_our_messages_say_that_we_know_the_extension() -> None:
    bench = Bench()
    assert b"timer" in header(calling(bench)[1], b"Supported")
    _, _, answer = called(bench, b"")
    assert b"timer" in header(answer, b"Supported")
    assert header(answer, b"Session-Expires") == b""
    bench.pass_time(86400.0)
    assert bench.layer.counts()["timers"] == 0


# Calls we receive.


def test_peer_that_refreshes_keeps_the_call_for_hours() -> None:
    bench = Bench()
    usage, to, answer = called(bench, b"Session-Expires: 1800\r\n" + TIMER)
    assert header(answer, b"Session-Expires") == b"1800;refresher=uac"
    assert header(answer, b"Require") == b"timer"
    for turn in range(12):
        bench.pass_time(900.0)
        bench.receive(peer_update(to, 2 + turn))
        assert header(bench.one(), b"Session-Expires") == b"1800;refresher=uac"
    assert usage.state == "confirmed"
    assert_expires(bench, 1800.0 - 32.0)


def test_peer_that_stops_refreshing_is_left_a_third_of_a_short_interval_before_its_end() -> None:
    bench = Bench()
    called(bench, b"Session-Expires: 90\r\n" + TIMER)
    assert_expires(bench, 60.0)


def test_reinvite_of_the_peer_refreshes_when_it_is_accepted() -> None:
    bench = Bench()
    usage, to, _ = called(bench, b"Session-Expires: 90;refresher=uac\r\n" + TIMER)
    bench.pass_time(50.0)
    bench.receive(inside(b"INVITE", to, 2, SDP, b"Session-Expires: 90;refresher=uac\r\n" + TIMER))
    bench.events()
    usage.answer(MINE, bench.now)
    assert header(bench.sent()[-1], b"Session-Expires") == b"90;refresher=uac"
    bench.receive(inside(b"ACK", to, 2))
    bench.events()
    assert_expires(bench, 60.0)


def test_refused_reinvite_of_the_peer_refreshes_nothing() -> None:
    bench = Bench()
    usage, to, _ = called(bench, b"Session-Expires: 90;refresher=uac\r\n" + TIMER)
    bench.pass_time(50.0)
    bench.receive(inside(b"INVITE", to, 2, SDP, b"Session-Expires: 90;refresher=uac\r\n" + TIMER))
    bench.events()
    usage.reject(488, now=bench.now)
    bench.receive(inside(b"ACK", to, 2))
    bench.sent()
    bench.pass_time(9.99)
    assert bench.events() == []
    bench.sent()
    bench.pass_time(0.01)
    assert isinstance(bench.event(), UsageEnded)


def test_caller_without_the_extension_is_refreshed_by_us() -> None:
    bench = Bench()
    _, _, answer = called(bench, b"", SessionPolicy(600), allow=b"")
    assert header(answer, b"Session-Expires") == b"600;refresher=uas"
    assert header(answer, b"Require") == b""
    first = refresh(bench, 300.0)
    assert start_line(first) == b"INVITE"
    assert header(first, b"Session-Expires") == b"600;refresher=uac"
    assert first.endswith(MINE)
    bench.receive(make_answer(first, 200, body=SDP))
    assert start_line(bench.one()) == b"ACK"
    assert isinstance(bench.event(), UsageReinviteDone)
    second = refresh(bench, 300.0)
    assert second.endswith(MINE)


def test_short_interval_is_refused_with_422_and_our_least() -> None:
    bench = Bench()
    bench.receive(make_request(body=SDP, extra=b"Session-Expires: 60\r\n" + TIMER))
    event = bench.event()
    assert isinstance(event, InviteReceived)
    assert event.usage.settle_session(event.request, SessionPolicy(0, 120)) == (422, [(b"min-se", b"120")])


def test_unreadable_interval_is_refused_with_400() -> None:
    bench = Bench()
    bench.receive(make_request(body=SDP, extra=b"Session-Expires: soon\r\n" + TIMER))
    event = bench.event()
    assert isinstance(event, InviteReceived)
    assert event.usage.settle_session(event.request, ACCEPT_ONLY) == (400, [])


@pytest.mark.parametrize(
    ("extra", "status"), [(b"Session-Expires: 30\r\n", b"422"), (b"Session-Expires: x\r\n", b"400")]
)
@pytest.mark.parametrize("method", [b"INVITE", b"UPDATE"])
def test_bad_interval_inside_the_dialog_is_refused_and_the_timer_goes_on(
    method: bytes, extra: bytes, status: bytes
) -> None:
    bench = Bench()
    _, to, _ = called(bench, b"Session-Expires: 90;refresher=uac\r\n" + TIMER)
    bench.pass_time(10.0)
    bench.receive(inside(method, to, 2, SDP, extra + TIMER))
    refusal = bench.sent()[-1]
    assert start_line(refusal) == status
    assert header(refusal, b"Min-SE") == (b"90" if status == b"422" else b"")
    bench.receive(inside(b"ACK", to, 2))
    bench.pass_time(49.99)
    assert bench.events() == []
    bench.pass_time(0.01)
    assert isinstance(bench.event(), UsageEnded)


def test_peer_may_start_a_timer_in_the_middle_of_a_call() -> None:
    bench = Bench()
    _, to, _ = called(bench, b"")
    bench.pass_time(5000.0)
    bench.receive(peer_update(to, 2, b"Session-Expires: 90;refresher=uas\r\n" + TIMER + ALLOW))
    assert header(bench.one(), b"Session-Expires") == b"90;refresher=uas"
    assert start_line(refresh(bench, 45.0)) == b"UPDATE"


# Calls we make.


def test_we_ask_for_what_the_policy_says() -> None:
    bench = Bench()
    _, invite = calling(bench, SessionPolicy(600, 120, "us"))
    assert header(invite, b"Session-Expires") == b"600;refresher=uac"
    assert header(invite, b"Min-SE") == b"120"


def test_our_refresh_by_update_keeps_the_call_and_its_answer_sets_the_next_one() -> None:
    bench = Bench()
    usage = connected(bench, b"Session-Expires: 600;refresher=uac\r\n" + ALLOW, SessionPolicy(600))
    update = refresh(bench, 300.0)
    assert start_line(update) == b"UPDATE"
    assert header(update, b"Session-Expires") == b"600;refresher=uac"
    assert header(update, b"Contact") != b""
    assert header(update, b"Content-Length") == b"0"
    bench.receive(
        make_answer(update, 200, extra=b"Session-Expires: 200;refresher=uac\r\nContact: <sip:new@192.0.2.9>\r\n")
    )
    assert usage.remote_target == b"sip:new@192.0.2.9"
    assert start_line(refresh(bench, 100.0)) == b"UPDATE"


def test_refresher_may_change_with_every_refresh() -> None:
    bench = Bench()
    connected(bench, b"Session-Expires: 600;refresher=uac\r\n" + ALLOW, SessionPolicy(600))
    bench.receive(make_answer(refresh(bench, 300.0), 200, extra=b"Session-Expires: 90;refresher=uas\r\n"))
    assert_expires(bench, 60.0)


def test_callee_that_wants_a_timer_gets_it_unasked() -> None:
    bench = Bench()
    connected(bench, b"Session-Expires: 90;refresher=uas\r\nRequire: timer\r\n")
    assert_expires(bench, 60.0)


def test_callee_without_the_extension_is_refreshed_by_us_when_we_asked() -> None:
    bench = Bench()
    connected(bench, b"", SessionPolicy(600))
    reinvite = refresh(bench, 300.0)
    assert start_line(reinvite) == b"INVITE"
    assert reinvite.endswith(MINE)


def test_callee_that_nobody_asks_has_no_timer() -> None:
    bench = Bench()
    connected(bench, b"")
    bench.pass_time(86400.0)
    assert bench.layer.counts()["timers"] == 0


def test_peer_that_does_not_answer_the_refresh_is_lost() -> None:
    bench = Bench()
    connected(bench, b"Session-Expires: 600;refresher=uac\r\n" + ALLOW, SessionPolicy(600))
    refresh(bench, 300.0)
    bench.pass_time(32.0)
    event = bench.event()
    assert isinstance(event, UsageEnded)
    assert event.cause is EndCause.TIMEOUT
    bye = bench.sent()[-1]
    assert start_line(bye) == b"BYE"
    assert header(bye, b"Reason") == b'SIP;cause=408;text="Dialog lost"'
    del event
    bench.run_out()


def test_refresh_that_finds_no_dialog_ends_the_call() -> None:
    bench = Bench()
    connected(bench, b"Session-Expires: 600;refresher=uac\r\n" + ALLOW, SessionPolicy(600))
    bench.receive(make_answer(refresh(bench, 300.0), 481))
    event = bench.event()
    assert isinstance(event, UsageEnded)
    assert event.status == 481
    assert bench.starts() == [b"BYE"]
    del event
    bench.run_out()


def test_refused_refresh_is_repeated_until_the_session_ends() -> None:
    bench = Bench()
    connected(bench, b"Session-Expires: 90;refresher=uac\r\n" + ALLOW, SessionPolicy(90))
    update = refresh(bench, 45.0)
    bench.receive(make_answer(update, 500))
    update = refresh(bench, 10.0)
    bench.receive(make_answer(update, 500))
    assert_expires(bench, 5.0)


def test_refresh_that_succeeds_at_the_second_try_keeps_the_call() -> None:
    bench = Bench()
    connected(bench, b"Session-Expires: 600;refresher=uac\r\n" + ALLOW, SessionPolicy(600))
    bench.receive(make_answer(refresh(bench, 300.0), 500))
    bench.receive(make_answer(refresh(bench, 10.0), 200, extra=b"Session-Expires: 600;refresher=uac\r\n"))
    assert start_line(refresh(bench, 300.0)) == b"UPDATE"


@pytest.mark.parametrize("status", [405, 501])
def test_peer_that_refuses_update_gets_a_reinvite_at_once(status: int) -> None:
    bench = Bench()
    connected(bench, b"Session-Expires: 600;refresher=uac\r\n" + ALLOW, SessionPolicy(600))
    bench.receive(make_answer(refresh(bench, 300.0), status))
    reinvite = bench.one()
    assert start_line(reinvite) == b"INVITE"
    assert reinvite.endswith(MINE)


def test_422_to_the_refresh_raises_the_interval_at_once() -> None:
    bench = Bench()
    connected(bench, b"Session-Expires: 200;refresher=uac\r\n" + ALLOW, SessionPolicy(200))
    bench.receive(make_answer(refresh(bench, 100.0), 422, extra=b"Min-SE: 300\r\n"))
    update = bench.one()
    assert header(update, b"Session-Expires") == b"300;refresher=uac"
    assert header(update, b"Min-SE") == b"300"


def test_refresh_waits_while_an_offer_is_open() -> None:
    bench = Bench()
    usage = connected(bench, b"Session-Expires: 600;refresher=uac\r\n" + PLAIN, SessionPolicy(600))
    bench.pass_time(299.0)
    usage.reinvite(b"", bench.now)
    offer = bench.one()
    assert header(offer, b"Session-Expires") == b"600;refresher=uac"
    bench.receive(make_answer(offer, 100, tag=b""))
    bench.pass_time(5.0)
    assert bench.sent() == []
    bench.receive(make_answer(offer, 200, body=SDP, extra=b"Session-Expires: 600;refresher=uac\r\n"))
    bench.events()
    usage.ack(SDP, bench.now)
    bench.sent()
    assert refresh(bench, 300.0).endswith(SDP)


def test_interval_too_short_on_the_way_is_asked_again_with_the_least_one() -> None:
    bench = Bench()
    usage, invite = calling(bench, SessionPolicy(100))
    bench.receive(make_answer(invite, 422, tag=b"proxy", extra=b"Min-SE: 400\r\n"))
    ack, again = bench.sent()
    assert start_line(ack) == b"ACK"
    assert bench.events() == []
    assert header(again, b"Session-Expires") == b"400"
    assert header(again, b"Min-SE") == b"400"
    assert header(again, b"CSeq") == b"2 INVITE"
    assert header(again, b"To") == b"<sip:b@x>"
    assert header(again, b"Call-ID") == header(invite, b"Call-ID")
    assert header(again, b"From") == header(invite, b"From")
    assert header(again, b"Via") != header(invite, b"Via")
    bench.receive(make_answer(again, 200, extra=b"Session-Expires: 400;refresher=uas\r\n", body=SDP))
    assert isinstance(bench.event(), UsageAnswered)
    assert start_line(bench.one()) == b"ACK"
    assert usage.state == "confirmed"


def test_422_without_a_larger_interval_or_after_a_cancel_ends_the_call() -> None:
    bench = Bench()
    _, invite = calling(bench, SessionPolicy(100))
    bench.receive(make_answer(invite, 422, extra=b"Min-SE: 100\r\n"))
    event = bench.event()
    assert isinstance(event, UsageRejected)
    assert event.status == 422
    del event
    bench.sent()
    usage, invite = calling(bench, SessionPolicy(100))
    usage.end(bench.now)
    bench.receive(make_answer(invite, 422, extra=b"Min-SE: 400\r\n"))
    assert bench.starts() == [b"ACK"]
    assert bench.events() == []
    del usage
    bench.run_out()


def test_peer_that_raises_its_interval_for_ever_is_given_up() -> None:
    bench = Bench()
    _, invite = calling(bench, SessionPolicy(100))
    for turn in range(1, 5):
        bench.receive(make_answer(invite, 422, extra=b"Min-SE: %d\r\n" % (100 + turn)))
        invite = bench.sent()[-1]
    assert start_line(invite) == b"ACK"
    assert isinstance(bench.event(), UsageRejected)


def test_hang_up_stops_the_timer() -> None:
    bench = Bench()
    usage = connected(bench, b"Session-Expires: 600;refresher=uac\r\n" + ALLOW, SessionPolicy(600))
    usage.end(bench.now)
    bench.receive(make_answer(bench.one(), 200))
    bench.pass_time(33.0)
    assert bench.layer.counts()["timers"] == 0
    bench.run_out()


def test_every_state_agrees_anew() -> None:
    assert all({"agreed: ours", "agreed: theirs", "agreed: none"} <= set(row) for row in ROWS.values())
