"""Offers inside a dialog: re-INVITE and UPDATE both ways, glare, and what they do to the dialog."""

from __future__ import annotations

import pytest

from tas.sip.events import (
    EndCause,
    UsageAnswered,
    UsageConfirmed,
    UsageEnded,
    UsageReinviteDone,
    UsageReoffered,
)
from tests.unit.tas.sip.invite.test_usage import answered, calling, confirmed, connected, from_called, inside
from tests.unit.tas.sip.support import SDP, Bench, header, make_answer, start_line

HOLD = SDP + b"a=sendonly\r\n"
HELD = SDP + b"a=recvonly\r\n"


def done(bench: Bench) -> tuple[int, bytes]:
    """The outcome of our re-INVITE, the only event since the last look."""
    event = bench.event()
    assert isinstance(event, UsageReinviteDone)
    return event.status, event.body


def test_our_reinvite_is_acknowledged_and_reported() -> None:
    bench = Bench()
    usage, to = confirmed(bench)
    usage.reinvite(HOLD, bench.now)
    reinvite = bench.one()
    assert start_line(reinvite) == b"INVITE"
    assert header(reinvite, b"From") == to
    assert reinvite.endswith(HOLD)
    bench.receive(make_answer(reinvite, 200, extra=b"Contact: <sip:new@192.0.2.9:5071>\r\n", body=HELD))
    ack = bench.one()
    assert ack.startswith(b"ACK sip:new@192.0.2.9:5071 ")
    assert done(bench) == (200, HELD)
    bench.receive(make_answer(reinvite, 200, body=HELD))
    assert bench.one() == ack
    assert bench.events() == []
    assert usage.remote_target == b"sip:new@192.0.2.9:5071"


def test_rejected_reinvite_leaves_the_call_as_it_was() -> None:
    bench = Bench()
    usage, _ = confirmed(bench)
    usage.reinvite(HOLD, bench.now)
    bench.receive(make_answer(bench.one(), 488))
    assert done(bench) == (488, b"")
    usage.end(bench.now)
    assert bench.starts() == [b"ACK", b"BYE"]
    bench.run_out()


def test_offerless_reinvite_is_acknowledged_by_the_user() -> None:
    bench = Bench()
    usage, _ = confirmed(bench)
    usage.reinvite(b"", bench.now)
    reinvite = bench.one()
    bench.receive(make_answer(reinvite, 200, body=SDP))
    bench.receive(make_answer(reinvite, 200, body=SDP))
    assert bench.sent() == []
    assert done(bench) == (200, SDP)
    usage.ack(HELD, bench.now)
    ack = bench.one()
    assert start_line(ack) == b"ACK"
    assert ack.endswith(HELD)
    bench.receive(make_answer(reinvite, 200, body=SDP))
    assert bench.one() == ack


@pytest.mark.parametrize("status", [481, 408])
def test_reinvite_that_finds_no_dialog_ends_the_call_with_bye(status: int) -> None:
    bench = Bench()
    usage, _ = confirmed(bench)
    usage.reinvite(HOLD, bench.now)
    bench.receive(make_answer(bench.one(), status))
    outcome, ended = bench.events()
    assert isinstance(outcome, UsageReinviteDone)
    assert isinstance(ended, UsageEnded)
    assert (ended.cause, ended.status) == (EndCause.TIMEOUT, status)
    assert bench.starts() == [b"ACK", b"BYE"]
    del outcome, ended
    bench.run_out()


def test_reinvite_without_answer_ends_the_call_after_32_s() -> None:
    bench = Bench()
    usage, _ = confirmed(bench)
    usage.reinvite(HOLD, bench.now)
    bench.pass_time(32)
    events = bench.events()
    assert [type(event) for event in events] == [UsageReinviteDone, UsageEnded]
    del events
    bench.run_out()


def test_second_offer_waits_for_the_first() -> None:
    bench = Bench()
    usage, _ = confirmed(bench)
    usage.reinvite(HOLD, bench.now)
    usage.reinvite(SDP, bench.now)
    first = bench.one()
    bench.receive(make_answer(first, 200, body=HELD))
    ack, second = bench.sent()
    assert start_line(ack) == b"ACK"
    assert start_line(second) == b"INVITE"
    assert second.endswith(SDP)
    assert header(second, b"CSeq") == b"2 INVITE"


def test_offer_before_the_ack_waits_for_it() -> None:
    bench = Bench()
    usage, to = answered(bench)
    usage.reinvite(HOLD, bench.now)
    assert bench.sent() == []
    bench.receive(inside(b"ACK", to, 1))
    assert bench.starts() == [b"INVITE"]


def test_peers_reinvite_is_answered_and_its_ack_reported() -> None:
    bench = Bench()
    usage, to = confirmed(bench)
    bench.receive(inside(b"INVITE", to, 2, HOLD, b"Contact: <sip:b@x>\r\n"))
    assert bench.starts() == [b"100"]
    event = bench.event()
    assert isinstance(event, UsageReoffered)
    assert (event.usage, event.body) == (usage, HOLD)
    usage.answer(HELD, bench.now)
    answer = bench.one()
    assert start_line(answer) == b"200"
    assert answer.endswith(HELD)
    bench.pass_time(0.5)
    assert bench.one() == answer
    bench.receive(inside(b"ACK", to, 2))
    assert isinstance(bench.event(), UsageConfirmed)
    bench.pass_time(40)
    assert bench.sent() == []


def test_unacknowledged_answer_to_a_reinvite_ends_the_call() -> None:
    bench = Bench()
    usage, to = confirmed(bench)
    bench.receive(inside(b"INVITE", to, 2, HOLD))
    bench.events()
    usage.answer(HELD, bench.now)
    bench.pass_time(32)
    event = bench.event()
    assert isinstance(event, UsageEnded)
    assert event.cause is EndCause.NO_ACK
    assert bench.starts()[-1] == b"BYE"
    del event
    bench.run_out()


def test_offerless_reinvite_gets_our_offer_and_the_ack_brings_the_answer() -> None:
    bench = Bench()
    usage, to = confirmed(bench)
    bench.receive(inside(b"INVITE", to, 2))
    event = bench.event()
    assert isinstance(event, UsageReoffered)
    assert event.body == b""
    usage.answer(SDP, bench.now)
    bench.receive(inside(b"ACK", to, 2, HELD))
    answer = bench.event()
    assert isinstance(answer, UsageConfirmed)
    assert answer.body == HELD


def test_peers_update_with_an_offer_is_answered_without_ack() -> None:
    bench = Bench()
    usage, to = confirmed(bench)
    bench.receive(inside(b"UPDATE", to, 2, HOLD))
    assert bench.sent() == []
    assert isinstance(bench.event(), UsageReoffered)
    usage.answer(HELD, bench.now)
    assert bench.starts() == [b"200"]
    usage.reinvite(SDP, bench.now)
    assert bench.starts() == [b"INVITE"]


def test_update_without_an_offer_only_refreshes_the_target() -> None:
    bench = Bench()
    usage, to = confirmed(bench)
    update = inside(b"UPDATE", to, 2)
    update.set(b"contact", b"<sip:moved@192.0.2.9:5099>")
    bench.receive(update)
    assert bench.starts() == [b"200"]
    assert bench.events() == []
    usage.end(bench.now)
    assert bench.one().startswith(b"BYE sip:moved@192.0.2.9:5099 ")
    assert bench.flows[0].remote == ("192.0.2.9", 5099)


def test_rejected_offer_of_the_peer_leaves_the_dialog_usable() -> None:
    bench = Bench()
    usage, to = confirmed(bench)
    bench.receive(inside(b"INVITE", to, 2, HOLD))
    bench.events()
    usage.reject(488, now=bench.now)
    assert bench.starts() == [b"100", b"488"]
    bench.receive(inside(b"INVITE", to, 3, HOLD))
    assert isinstance(bench.event(), UsageReoffered)


def test_second_offer_of_the_peer_before_our_answer_gets_500_with_retry_after() -> None:
    bench = Bench()
    _, to = confirmed(bench)
    bench.receive(inside(b"INVITE", to, 2, HOLD))
    bench.sent()
    bench.receive(inside(b"UPDATE", to, 3, SDP))
    answer = bench.one()
    assert start_line(answer) == b"500"
    assert 0 <= int(header(answer, b"Retry-After")) <= 10
    assert len(bench.events()) == 1


def test_offer_while_ours_is_open_gets_491() -> None:
    bench = Bench()
    usage, to = confirmed(bench)
    usage.reinvite(HOLD, bench.now)
    bench.sent()
    bench.receive(inside(b"INVITE", to, 2, HOLD))
    bench.receive(inside(b"UPDATE", to, 3, HOLD))
    assert bench.starts() == [b"100", b"491", b"491"]
    assert bench.events() == []


def test_offer_before_the_first_answer_is_acknowledged_gets_491() -> None:
    bench = Bench()
    _, to = answered(bench)
    bench.receive(inside(b"INVITE", to, 2, HOLD))
    assert bench.starts() == [b"100", b"491"]


@pytest.mark.parametrize("seed", range(5))
def test_glare_is_retried_after_0_to_2_s_where_the_peer_made_the_call_id(seed: int) -> None:
    bench = Bench(seed=seed)
    usage, _ = confirmed(bench)
    usage.reinvite(HOLD, bench.now)
    bench.receive(make_answer(bench.one(), 491))
    bench.sent()
    bench.pass_time(2.0)
    again = set(bench.sent())  # and its retransmissions
    assert len(again) == 1
    assert again.pop().endswith(HOLD)
    assert bench.events() == []


@pytest.mark.parametrize("seed", range(5))
def test_glare_is_retried_after_2_1_to_4_s_where_we_made_the_call_id(seed: int) -> None:
    bench = Bench(seed=seed)
    usage, _ = connected(bench)
    usage.reinvite(HOLD, bench.now)
    bench.receive(make_answer(bench.one(), 491))
    bench.sent()
    bench.pass_time(2.09)
    assert bench.sent() == []
    bench.pass_time(1.92)
    again = [data for data in bench.sent() if data.startswith(b"INVITE")]
    assert again
    bench.receive(make_answer(again[0], 200, body=HELD))
    assert done(bench) == (200, HELD)


def test_endless_glare_is_reported_after_five_retries() -> None:
    bench = Bench()
    usage, _ = confirmed(bench)
    usage.reinvite(HOLD, bench.now)
    invites = 0
    while not (events := bench.events()):
        for data in bench.sent():
            if data.startswith(b"INVITE"):
                invites += 1
                bench.receive(make_answer(data, 491))
        bench.pass_time(0.01)
    (event,) = events
    assert isinstance(event, UsageReinviteDone)
    assert event.status == 491
    assert invites == 6


def test_peers_offer_during_our_back_off_gives_up_ours() -> None:
    bench = Bench()
    usage, invite = connected(bench)
    usage.reinvite(HOLD, bench.now)
    bench.receive(make_answer(bench.one(), 491))
    bench.receive(from_called(b"INVITE", invite, 1, SDP))
    glare, offer = bench.events()
    assert isinstance(glare, UsageReinviteDone)
    assert glare.status == 491
    assert isinstance(offer, UsageReoffered)
    usage.answer(SDP, bench.now)
    bench.sent()
    bench.receive(from_called(b"ACK", invite, 1))
    bench.pass_time(10)
    assert bench.sent() == []


def test_peers_offer_while_a_late_offer_waits_gets_491() -> None:
    bench = Bench()
    _, invite = calling(bench, body=b"")
    bench.receive(make_answer(invite, 200, body=SDP))
    assert isinstance(bench.event(), UsageAnswered)
    bench.receive(from_called(b"INVITE", invite, 1, SDP))
    assert bench.starts() == [b"100", b"491"]


def test_bye_answers_what_is_open_and_leaves_nothing() -> None:
    bench = Bench()
    _, to = confirmed(bench)
    bench.receive(inside(b"INVITE", to, 2, HOLD))
    bench.receive(inside(b"BYE", to, 3))
    assert bench.starts() == [b"100", b"200", b"487"]
    bench.events()
    bench.run_out()


def test_hang_up_with_our_offer_open_leaves_nothing() -> None:
    bench = Bench()
    usage, _ = confirmed(bench)
    usage.reinvite(HOLD, bench.now)
    reinvite = bench.one()
    bench.receive(make_answer(reinvite, 100))
    usage.end(bench.now)
    bye = bench.one()
    bench.receive(make_answer(bye, 200))
    bench.receive(make_answer(reinvite, 487))
    assert bench.starts() == [b"ACK"]
    assert bench.events() == []
    bench.run_out()


def test_answer_of_our_offer_after_hang_up_is_acknowledged_silently() -> None:
    bench = Bench()
    usage, _ = confirmed(bench)
    usage.reinvite(HOLD, bench.now)
    reinvite = bench.one()
    usage.end(bench.now)
    bench.sent()
    bench.receive(make_answer(reinvite, 200, body=HELD))
    assert bench.starts() == [b"ACK"]
    assert bench.events() == []
    bench.run_out()


def test_cancel_of_the_peers_reinvite_leaves_the_call() -> None:
    bench = Bench()
    usage, to = confirmed(bench)
    reinvite = inside(b"INVITE", to, 2, HOLD)
    bench.receive(reinvite)
    bench.events()
    cancel = inside(b"CANCEL", to, 2)
    cancel.set(b"via", reinvite.get(b"via") or b"")
    bench.receive(cancel)
    assert bench.starts() == [b"100", b"200", b"487"]
    usage.answer(HELD, bench.now)
    assert bench.sent() == []
    bench.receive(inside(b"BYE", to, 3))
    bench.events()
    bench.sent()
    bench.run_out()
