"""Media servers that are full, absent, slow to come, cut off or dead, and RTP that stops."""

from __future__ import annotations

import pytest

from common.contracts.agents import AgentState
from tests.scenarios.support.lab import Lab
from tests.scenarios.support.peers import PeerCall, Phone


def talking(lab: Lab) -> tuple[PeerCall, Phone]:
    (phone,) = lab.agents(1)
    call = lab.queue_call()
    lab.until(lambda: phone.taken_count and phone.taken().confirmed)
    lab.run(0.2)
    return call, phone


def test_calls_alternate_between_two_media_servers() -> None:
    lab = Lab(media=2)
    calls = [lab.queue_call() for _ in range(10)]
    assert [len(host.sessions) for host in lab.media] == [5, 5]
    for call in calls:
        call.hang_up()
    lab.assert_nothing_left(calls=10)


def test_second_media_server_takes_what_does_not_fit_on_the_first() -> None:
    lab = Lab(media=2, limits={"media-1": 4, "media-2": 500})
    calls = [lab.queue_call() for _ in range(12)]
    assert all(call.up for call in calls)
    assert len(lab.media[0].sessions) == 3  # one connection point is left for an agent's leg
    assert len(lab.media[1].sessions) == 9
    for call in calls:
        call.hang_up()
    lab.assert_nothing_left(calls=12)


def test_many_calls_at_once_on_a_nearly_full_server_all_find_a_place() -> None:
    lab = Lab(tas=2, media=2, limits={"media-1": 6, "media-2": 500})
    calls = [lab.pbx.call("8000", server=lab.tas[number % 2].address) for number in range(40)]
    lab.run(1.0)
    assert all(call.up for call in calls)
    assert len(lab.media[0].sessions) <= 6
    for call in calls:
        call.hang_up()
    lab.assert_nothing_left(calls=40)


def test_agents_leg_without_a_connection_point_waits_and_is_offered_again() -> None:
    lab = Lab(limit=3)
    (phone,) = lab.agents(1)
    lab.broker.set_state("1001", False)
    callers = [lab.queue_call() for _ in range(2)]
    lab.media[0].sessions.limit = 2  # as if other TAS nodes had taken the rest
    lab.broker.set_state("1001", True)
    lab.run(2.5)
    assert phone.taken_count == 0
    assert lab.state("1001")[0] in (AgentState.READY, AgentState.RESERVED)  # not the agent's fault
    lab.media[0].sessions.limit = 3
    lab.until(lambda: phone.taken_count and phone.taken().confirmed, 3.0)
    for call in callers:
        call.hang_up()
    lab.assert_nothing_left(calls=2)


def test_media_server_absent_at_start_is_used_once_it_comes() -> None:
    lab = Lab(media=2, absent=("media-1", "media-2"))
    call = lab.pbx.call("8000")
    lab.until(lambda: call.over)
    assert call.rejected == 503
    lab.restart_media(1)
    lab.run(1.0)
    second = lab.queue_call()
    assert second.up
    assert lab.call_of().media_server == "media-2"
    second.hang_up()
    lab.assert_nothing_left(calls=2)


def test_draining_media_server_gets_no_new_calls_and_keeps_those_it_has() -> None:
    lab = Lab(media=2)
    first = lab.queue_call()
    assert lab.call_of().media_server == "media-1"
    lab.media[0].sessions.draining = True
    lab.run(0.6)
    later = [lab.queue_call() for _ in range(4)]
    assert [len(host.sessions) for host in lab.media] == [1, 4]
    lab.media[0].sessions.draining = False
    lab.run(0.6)
    later.append(lab.queue_call())
    assert len(lab.media[0].sessions) == 2
    for call in (first, *later):
        call.hang_up()
    lab.assert_nothing_left(calls=6)


def test_queued_call_whose_media_server_dies_ends_as_media_lost_and_new_calls_use_the_other() -> None:
    lab = Lab(media=2)
    call = lab.queue_call()
    assert lab.call_of().media_server == "media-1"
    lab.media[0].die()
    lab.until(lambda: call.ended, 5.0)
    later = [lab.queue_call() for _ in range(3)]
    assert all(call.up for call in later)
    assert len(lab.media[1].sessions) == 3
    for other in later:
        other.hang_up()
    lab.assert_nothing_left(calls=4)
    assert (lab.cdrs[0].result, lab.cdrs[0].reason, lab.cdrs[0].media_server) == ("failed", "media_lost", "media-1")


def test_talking_call_whose_media_server_dies_ends_on_both_legs_and_the_agent_goes_on() -> None:
    lab = Lab(media=2)
    call, phone = talking(lab)
    lab.media[0].die()
    lab.until(lambda: call.ended and phone.taken().ended, 5.0)
    lab.run(6.0)
    assert lab.state("1001") == (AgentState.READY, "")
    lab.assert_nothing_left(calls=1)
    assert (lab.cdrs[0].result, lab.cdrs[0].reason, lab.cdrs[0].agent) == ("failed", "media_lost", "1001")


def test_media_server_that_dies_while_it_is_asked_for_a_session_is_replaced_by_the_next() -> None:
    lab = Lab(media=2)
    call = lab.pbx.call("8000")
    lab.run(0.0021)  # session.create is under way
    lab.media[0].die()
    lab.until(lambda: call.up, 3.0)
    assert lab.call_of().media_server == "media-2"
    call.hang_up()
    lab.assert_nothing_left(calls=1)


def test_media_server_that_restarts_has_lost_its_calls_and_takes_new_ones() -> None:
    lab = Lab()
    call = lab.queue_call()
    lab.media[0].die()
    lab.restart_media(0)
    lab.until(lambda: call.ended, 5.0)
    lab.run(1.0)
    again = lab.queue_call()
    assert again.up
    again.hang_up()
    lab.assert_nothing_left(calls=2)
    assert lab.cdrs[0].reason == "media_lost"


def test_broken_control_connection_that_is_back_at_once_costs_no_call() -> None:
    lab = Lab()
    call, _ = talking(lab)
    lab.tas[0].wires[0].cut()
    lab.run(5.0)
    assert call.up
    assert len(lab.media[0].sessions) == 2
    call.hang_up()
    lab.assert_nothing_left(calls=1)
    assert lab.cdrs[0].reason == "caller_hangup"


def test_silent_rtp_of_a_queued_caller_ends_the_call() -> None:
    lab = Lab()
    call = lab.queue_call()
    lab.media[0].fall_silent(lab.call_of().caller.leg_id)
    lab.until(lambda: call.ended, 1.0)
    lab.assert_nothing_left(calls=1)
    assert (lab.cdrs[0].result, lab.cdrs[0].reason) == ("failed", "rtp_timeout")


@pytest.mark.parametrize("side", ["caller", "agent"])
def test_silent_rtp_of_a_talking_call_ends_both_legs(side: str) -> None:
    lab = Lab()
    call, phone = talking(lab)
    mine = lab.call_of()
    assert mine.callee is not None
    lab.media[0].fall_silent(mine.caller.leg_id if side == "caller" else mine.callee.leg_id)
    lab.until(lambda: call.ended and phone.taken().ended, 1.0)
    lab.assert_nothing_left(calls=1)
    assert (lab.cdrs[0].result, lab.cdrs[0].reason) == ("failed", "rtp_timeout")


def test_silent_rtp_while_the_phone_rings_cancels_it() -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    phone.behaviour.answer_s = None
    call = lab.queue_call()
    lab.until(lambda: phone.taken_count)
    lab.media[0].fall_silent(lab.call_of().caller.leg_id)
    lab.until(lambda: call.ended and phone.taken().ended == "cancel", 1.0)
    lab.assert_nothing_left(calls=1)
    assert lab.state("1001") == (AgentState.READY, "")
