"""What is written of a call when it ends, and what is shown while it lasts."""

from __future__ import annotations

import pytest

from common.contracts.calls import AgentCall, AgentCallPhase, CallEnded, CallQueued, Offer
from common.contracts.ids import OfferId
from tas.calls import table
from tas.calls.call import Call
from tas.calls.records import agent_calls, view
from tests.unit.tas.rig import WALL, Rig

ANSWER = b"v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 4002 RTP/AVP 8\r\n"


OFFER_ID = OfferId("o")


def talking(rig: Rig) -> Call:
    """Queued for 5 s, rung for 2 s more, then talking."""
    rig.register()
    call = rig.call(extra=b"P-Asserted-Identity: <sip:0451234@pbx>\r\n")
    rig.in_dialog(b"ACK", cseq=1)
    rig.pass_time(5.0)
    rig.sent()
    rig.control.receive_command(Offer(OFFER_ID, call.uid, "1001", 15.0), rig.now)
    rig.turn()
    (invite,) = rig.sent()
    rig.answer(invite, 180)
    rig.pass_time(2.0)
    rig.answer(invite, 200, body=ANSWER)
    assert call.state == table.TALKING
    return call


def test_record_of_a_queue_call_has_all_its_times_and_names() -> None:
    rig = Rig()
    call = talking(rig)
    rig.pass_time(60.0)
    rig.in_dialog(b"BYE")
    (row,) = rig.rows
    assert (row.call_uid, row.node, row.direction, row.trunk) == (call.uid, "tas-1", "in", "pbx")
    assert (row.caller, row.called, row.queue, row.agent) == ("0451234", "8000", "support", "1001")
    assert (row.started_at, row.queued_at, row.answered_at, row.ended_at) == (WALL, WALL, WALL + 7, WALL + 67)
    assert (row.wait_s, row.ring_s, row.talk_s) == (7.0, 2.0, 60.0)
    assert (row.result, row.reason, row.sip_cause, row.q850_cause) == ("answered", "caller_hangup", 200, 16)
    assert (row.media_server, row.codec_a, row.codec_b, row.packets_lost) == ("media-1", "PCMA", "PCMA", 6)


def test_record_of_an_abandoned_call_has_its_wait_and_no_answer() -> None:
    rig = Rig()
    rig.call()
    rig.in_dialog(b"ACK", cseq=1)
    rig.pass_time(3.0)
    rig.in_dialog(b"BYE")
    (row,) = rig.rows
    assert (row.wait_s, row.ring_s, row.talk_s, row.answered_at, row.agent) == (3.0, 0.0, 0.0, None, "")
    assert (row.result, row.reason, row.codec_b) == ("abandoned", "caller_hangup", "")


def test_record_of_a_refused_call_has_no_queue_and_no_media() -> None:
    rig = Rig()
    rig.invite(b"4711")
    (row,) = rig.rows
    assert (row.result, row.reason, row.sip_cause, row.queue, row.media_server) == (
        "rejected", "unknown_number", 404, "", "",
    )  # fmt: skip
    assert (row.queued_at, row.wait_s, row.started_at) == (None, 0.0, row.ended_at)


def test_echo_test_is_an_answered_call_without_talk() -> None:
    rig = Rig()
    rig.call(b"9196")
    rig.in_dialog(b"ACK", cseq=1)
    rig.pass_time(4.0)
    rig.in_dialog(b"BYE")
    (row,) = rig.rows
    assert (row.result, row.reason, row.talk_s, row.queued_at) == ("answered", "completed", 0.0, None)


def test_brokers_hear_of_the_agents_end_before_the_calls() -> None:
    rig = Rig()
    call = talking(rig)
    rig.told()
    rig.in_dialog(b"BYE")
    rig.pass_time(1.0)
    assert rig.told() == [
        AgentCall("1001", call.uid, AgentCallPhase.ENDED, "", "support"),
        CallEnded(call.uid, "support", "answered", "caller_hangup"),
    ]


def test_queued_call_is_told_with_its_numbers() -> None:
    rig = Rig()
    call = rig.call(extra=b"P-Asserted-Identity: <sip:0451234@pbx>\r\n")
    assert rig.told() == [CallQueued(call.uid, "support", "0451234", 0.0, "8000")]


def test_view_shows_both_legs_of_a_talking_call() -> None:
    rig = Rig()
    call = talking(rig)
    shown = view(call, rig.now + 1.5)
    assert (shown.state, shown.caller, shown.agent, shown.duration_s, shown.outcome) == (
        "talking", "0451234", "1001", 8.5, "",
    )  # fmt: skip
    caller, agent = shown.legs
    assert (caller.leg_id, caller.direction, caller.peer, caller.media, caller.codec) == (
        f"{call.uid}.1", "in", "192.0.2.9:5060", "media-1", "PCMA",
    )  # fmt: skip
    assert (agent.leg_id, agent.direction, agent.media) == (f"{call.uid}.2", "out", "media-1")
    assert (caller.sip_call_id, agent.sip_call_id != "") == ("call-1", True)


def test_view_of_an_ended_call_stands_still_and_has_its_outcome() -> None:
    rig = Rig()
    call = talking(rig)
    rig.in_dialog(b"BYE")
    shown = view(call, rig.now + 100)
    assert (shown.duration_s, shown.outcome) == (7.0, "answered: caller_hangup")


@pytest.mark.parametrize(
    ("state", "phases"),
    [
        (table.TALKING, [AgentCallPhase.TALKING]),
        (table.DIALLING, [AgentCallPhase.RINGING]),
        (table.OFFERING, []),
        (table.OVER, []),
    ],
)
def test_snapshot_tells_an_agents_part_by_the_state_of_the_call(state: str, phases: list[AgentCallPhase]) -> None:
    rig = Rig()
    call = talking(rig)
    call.state = state
    assert [found.phase for found in agent_calls(call)] == phases


def test_snapshot_tells_both_agents_of_a_call_between_them() -> None:
    rig = Rig()
    call = talking(rig)
    call.from_agent = "1002"
    assert [(found.agent, found.phase, found.peer) for found in agent_calls(call)] == [
        ("1001", AgentCallPhase.TALKING, "0451234"),
        ("1002", AgentCallPhase.TALKING, "8000"),
    ]
