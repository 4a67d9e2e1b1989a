"""One call: its table stepped by hand, its timers, its legs, and the answers of media servers."""

from __future__ import annotations

from common.contracts.calls import Offer, OfferResult
from common.contracts.ids import OfferId
from common.contracts.media import ErrorCode
from common.contracts.outcome import Reason
from common.contracts.rpc import RpcError
from tas.calls import table
from tas.calls.call import PAST_LEGS, Call
from tas.media.link import LinkState
from tas.sip.message import Request
from tests.unit.tas.rig import Rig
from tests.unit.tas.sip.support import make_request


def queued(rig: Rig) -> Call:
    """A caller from the trunk who waits, the answer acknowledged."""
    call = rig.call()
    rig.in_dialog(b"ACK", cseq=1)
    assert call.state == table.QUEUED
    return call


def offer(call: Call, number: int = 1) -> Offer:
    return Offer(OfferId(f"offer-{number}"), call.uid, "1001", 15.0)


def ringing(rig: Rig, number: int = 1) -> tuple[Call, bytes]:
    """The same, offered to 1001 whose phone was sent the INVITE that is returned too."""
    if not rig.registrar.bindings.contacts("1001"):
        rig.register()
    call = queued(rig) if not rig.control.calls else next(iter(rig.control.calls.values()))
    rig.sent()
    rig.control.receive_command(offer(call, number), rig.now)
    rig.turn()
    (invite,) = rig.sent()
    return call, invite


def test_event_the_state_does_not_know_changes_nothing() -> None:
    rig = Rig()
    call = queued(rig)
    assert not call.feed(table.DIGIT, "1", rig.now)
    assert call.state == table.QUEUED


# Timers.


def test_timer_feeds_its_event_once() -> None:
    rig = Rig()
    call = queued(rig)
    call.set_timer(table.WAIT_OVER, 30.0, rig.now)
    rig.pass_time(29.9)
    assert call.state == table.QUEUED
    rig.pass_time(0.1)
    assert (call.state, call.timers) == (table.OVER, {})


def test_timer_set_anew_forgets_its_first_time() -> None:
    rig = Rig()
    call = queued(rig)
    call.set_timer(table.WAIT_OVER, 5.0, rig.now)
    call.set_timer(table.WAIT_OVER, 50.0, rig.now)
    rig.pass_time(40.0)
    assert call.state == table.QUEUED


def test_cleared_timer_feeds_nothing() -> None:
    rig = Rig()
    call = queued(rig)
    call.set_timer(table.WAIT_OVER, 5.0, rig.now)
    call.clear_timer(table.WAIT_OVER)
    call.clear_timer(table.WAIT_OVER)
    rig.pass_time(10.0)
    assert call.state == table.QUEUED


def test_timers_of_a_call_that_is_over_are_gone() -> None:
    rig = Rig()
    call = queued(rig)
    call.set_timer(table.WAIT_OVER, 5.0, rig.now)
    rig.control.hang_up(call.uid, rig.now)
    rig.turn()
    assert (call.timers, rig.control.leg_counts()) == ({}, {"calls": 0, "call_timers": 0})


# Legs.


def test_leg_is_found_by_its_dialog_and_by_its_session() -> None:
    rig = Rig()
    call, _ = ringing(rig)
    assert call.callee is not None
    assert call.leg_of(call.caller.usage) is call.caller
    assert call.leg_of(call.callee.usage) is call.callee
    assert call.leg_of(object()) is None
    assert call.leg_by_session(f"{call.uid}.1") is call.caller
    assert call.leg_by_session(f"{call.uid}.2") is call.callee
    assert call.leg_by_session(f"{call.uid}.3") is None


def test_released_legs_stay_to_be_looked_at_up_to_a_limit() -> None:
    rig = Rig()
    for number in range(1, PAST_LEGS + 3):
        call, invite = ringing(rig, number)
        rig.answer(invite, 486)
        assert call.state == table.QUEUED
        rig.sent()
    assert [leg.leg_id for leg in call.past_legs] == [f"{call.uid}.{number}" for number in range(2, PAST_LEGS + 2)]


# The media server.


def test_full_media_server_gives_503_and_the_call_is_media_full() -> None:
    rig = Rig()
    rig.refusal = RpcError(ErrorCode.FULL, "full")
    assert rig.invite() is None
    assert rig.starts()[-1] == b"503"
    assert [row.reason for row in rig.rows] == [Reason.MEDIA_FULL]
    rig.rest()


def test_media_server_that_dies_before_it_answered_gives_503() -> None:
    rig = Rig()
    rig.silent = True
    rig.invite()
    rig.link.connection_lost(rig.now)
    rig.turn()
    assert rig.starts()[-1] == b"503"
    assert len(rig.control.calls) == 0


def test_caller_who_cancels_before_there_is_media_gets_487_and_the_session_is_given_back() -> None:
    rig = Rig()
    rig.silent = True
    call = rig.call()
    rig.receive(cancel())
    assert {b"200", b"487"} <= set(rig.starts())
    create, delete = rig.open
    assert (create.method, delete.method) == ("session.create", "session.delete")
    rig.silent = False
    rig.serve(create)
    rig.serve(delete)
    rig.turn()
    assert (call.state, len(rig.control.calls)) == (table.OVER, 0)
    rig.rest()


def cancel() -> Request:
    """CANCEL of the INVITE that Rig.invite sends."""
    return make_request(
        b"CANCEL", uri=b"sip:8000@192.0.2.1", to=b"<sip:8000@192.0.2.1>", call_id=b"call-1", branch=b"z9hG4bKcall-1"
    )


def test_agent_without_media_is_told_as_refused_and_the_caller_waits_on() -> None:
    rig = Rig()
    rig.register()
    call = queued(rig)
    rig.told()
    rig.refusal = RpcError(ErrorCode.FULL, "all connection points are taken")
    rig.control.receive_command(offer(call), rig.now)
    rig.turn()
    (report,) = rig.told()
    assert (report.result, report.detail) == (OfferResult.REFUSED, "media: all connection points are taken")
    assert (call.state, call.agent, call.offer, call.callee) == (table.QUEUED, "", None, None)


def test_lost_packets_of_both_sessions_are_in_the_record() -> None:
    rig = Rig()
    call, invite = ringing(rig)
    rig.answer(invite, 200, body=b"v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 4002 RTP/AVP 8\r\n")
    assert call.state == table.TALKING
    rig.in_dialog(b"BYE")
    (row,) = rig.rows
    assert row.packets_lost == 6


def test_call_whose_media_server_falls_silent_for_good_is_closed_all_the_same() -> None:
    rig = Rig()
    call = queued(rig)
    rig.silent = True
    rig.control.hang_up(call.uid, rig.now)
    rig.turn()
    assert call.uid in rig.control.calls  # the last statistics are awaited
    rig.link.connection_lost(rig.now)
    assert call.uid not in rig.control.calls
    assert len(rig.rows) == 1


def test_refused_delete_closes_the_call_too() -> None:
    rig = Rig()
    call = queued(rig)
    rig.silent = True
    rig.control.hang_up(call.uid, rig.now)
    rig.turn()
    rig.server.reply(rig.open[-1], RpcError(ErrorCode.NO_SESSION, "no"))
    assert call.uid not in rig.control.calls


def test_death_of_the_media_server_ends_its_calls_once() -> None:
    rig = Rig()
    queued(rig)
    rig.sent()
    rig.link.connection_lost(rig.now)
    rig.pass_time(2.0)
    assert rig.link.state is LinkState.DOWN
    assert rig.starts()[:1] == [b"BYE"]
    assert [row.reason for row in rig.rows] == [Reason.MEDIA_LOST]
