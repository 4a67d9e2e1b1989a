"""Menus, the echo test, hold and late offers on the virtual clock."""

from __future__ import annotations

import pytest

from tests.scenarios.support.lab import Lab
from tests.scenarios.support.media import Point, prompt_lengths
from tests.scenarios.support.peers import Behaviour, PeerCall, Phone
from tests.scenarios.support.sdp import ANSWER, OFFER, direction_of, media_line, media_port, sdp

MENU_S = prompt_lengths()["menu"]
SILENCE_S = 5.0
"""menus.main.timeout_s of configs/lab."""


def in_menu(lab: Lab) -> PeerCall:
    call = lab.pbx.call("8100")
    lab.until(lambda: call.up)
    lab.run(0.1)
    return call


def point(lab: Lab) -> Point:
    """The caller's connection point."""
    return lab.media[0].point(lab.call_of().caller.leg_id)


def press(lab: Lab, digit: str) -> None:
    lab.media[0].press(lab.call_of().caller.leg_id, digit)
    lab.run(0.1)


@pytest.mark.parametrize("by_info", [False, True])
def test_menu_digit_routes_to_the_queue(by_info: bool) -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    call = in_menu(lab)
    if by_info:
        call.info("1")
    else:
        press(lab, "1")
    lab.until(lambda: phone.taken_count and phone.taken().confirmed, 2.0)
    call.hang_up()
    lab.assert_nothing_left(calls=1)
    assert (lab.cdrs[0].called, lab.cdrs[0].queue, lab.cdrs[0].agent) == ("8100", "support", "1001")


def test_menu_digit_routes_to_an_agent() -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    call = in_menu(lab)
    press(lab, "2")
    lab.until(lambda: phone.taken_count and phone.taken().confirmed, 2.0)
    mine = lab.call_of()
    assert mine.callee is not None
    assert lab.media[0].session(mine.caller.leg_id).bridged == mine.callee.leg_id
    call.hang_up()
    lab.assert_nothing_left(calls=1)
    assert (lab.cdrs[0].result, lab.cdrs[0].reason, lab.cdrs[0].agent) == ("answered", "caller_hangup", "1001")


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [(Behaviour(reject=486), "busy"), (None, "not_registered"), (Behaviour(answer_s=None), "no_answer")],
)
def test_menu_caller_whose_agent_cannot_be_reached_is_released_by_bye(behaviour: Behaviour | None, reason: str) -> None:
    lab = Lab()
    if behaviour is not None:
        (phone,) = lab.agents(1)
        phone.behaviour = behaviour
    call = in_menu(lab)
    press(lab, "2")
    lab.until(lambda: call.ended == "bye", 70.0)
    lab.assert_nothing_left(calls=1)
    assert (lab.cdrs[0].result, lab.cdrs[0].reason) == ("rejected", reason)


def test_menu_caller_who_hangs_up_while_the_agent_rings() -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    phone.behaviour = Behaviour(answer_s=None)
    call = in_menu(lab)
    press(lab, "2")
    lab.run(1.0)
    call.hang_up()
    lab.run(0.1)
    assert phone.taken().ended == "cancel"
    lab.assert_nothing_left(calls=1)
    assert (lab.cdrs[0].result, lab.cdrs[0].reason) == ("abandoned", "caller_hangup")


def test_menu_repeats_on_request() -> None:
    lab = Lab()
    call = in_menu(lab)
    before = point(lab).play_id
    press(lab, "9")
    assert point(lab).play_id > before
    assert point(lab).prompts
    call.hang_up()
    lab.assert_nothing_left(calls=1)
    assert (lab.cdrs[0].result, lab.cdrs[0].reason) == ("answered", "completed")


def test_menu_repeats_after_a_wrong_digit() -> None:
    lab = Lab()
    call = in_menu(lab)
    before = point(lab).play_id
    press(lab, "7")
    assert point(lab).play_id > before
    assert call.up
    call.hang_up()
    lab.assert_nothing_left(calls=1)


def test_menu_without_a_digit_is_repeated_twice_and_then_leads_to_the_queue() -> None:
    lab = Lab()
    call = in_menu(lab)
    started = lab.now
    lab.until(lambda: lab.broker.waiting())
    assert lab.now - started == pytest.approx(3 * (MENU_S + SILENCE_S), abs=0.3)
    lab.run(0.1)
    assert point(lab).loops  # the queue's music
    call.hang_up()
    lab.assert_nothing_left(calls=1)
    assert lab.cdrs[0].result == "abandoned"


def test_menu_digit_in_the_silence_after_the_prompt_still_counts() -> None:
    lab = Lab()
    call = in_menu(lab)
    lab.run(MENU_S + SILENCE_S - 0.5)
    press(lab, "3")
    assert point(lab).echo
    lab.run(30.0)
    assert call.up
    call.hang_up()
    lab.assert_nothing_left(calls=1)


def test_menu_digit_pressed_while_waiting_in_the_queue_changes_nothing() -> None:
    lab = Lab()
    call = in_menu(lab)
    press(lab, "1")
    press(lab, "3")
    assert not point(lab).echo
    assert len(lab.broker.waiting()) == 1
    call.hang_up()
    lab.assert_nothing_left(calls=1)


def test_echo_test_sends_the_callers_sound_back() -> None:
    lab = Lab()
    call = lab.pbx.call("9196")
    lab.until(lambda: call.up)
    assert point(lab).echo
    assert point(lab).remote == ("127.0.0.2", 4000)
    call.hang_up()
    lab.assert_nothing_left(calls=1)
    assert (lab.cdrs[0].result, lab.cdrs[0].reason) == ("answered", "completed")


def test_late_offer_of_a_queue_caller_gets_music_from_the_ack_on() -> None:
    lab = Lab()
    call = lab.pbx.call("8000", body=b"")
    lab.until(lambda: call.up)
    assert media_line(call.body) == f"m=audio {media_port(call.body)} RTP/AVP 8 0 101"
    lab.run(0.1)
    assert point(lab).remote == ("127.0.0.1", media_port(ANSWER))
    call.hang_up()
    lab.assert_nothing_left(calls=1)


def test_late_offer_keeps_to_the_trunks_codecs() -> None:
    lab = Lab(trunk={"codecs": ["PCMU"]})
    call = lab.pbx.call("8000", body=b"")
    lab.until(lambda: call.up)
    assert media_line(call.body).split()[3:] == ["0", "101"]
    call.hang_up()
    lab.assert_nothing_left(calls=1)


def talking(lab: Lab) -> tuple[PeerCall, Phone]:
    (phone,) = lab.agents(1)
    call = lab.queue_call()
    lab.until(lambda: phone.taken_count and phone.taken().confirmed)
    lab.run(0.2)
    return call, phone


def test_caller_holds_and_retrieves_the_call() -> None:
    lab = Lab()
    call, _ = talking(lab)
    call.reinvite(sdp(4000, direction="sendonly", version=2))
    lab.run(0.2)
    assert call.reinvited[0] == 200
    assert direction_of(call.reinvited[1]) == "recvonly"
    assert (point(lab).send, point(lab).receive) == (False, True)
    call.reinvite(sdp(4002, version=3))
    lab.run(0.2)
    assert direction_of(call.reinvited[1]) == "sendrecv"
    assert point(lab).remote == ("127.0.0.2", 4002)
    assert point(lab).peer > 0
    call.hang_up()
    lab.assert_nothing_left(calls=1)


def test_agent_holds_by_inactive_then_sends_an_offerless_reinvite() -> None:
    lab = Lab()
    caller, phone = talking(lab)
    leg = phone.taken()
    first = leg.body
    leg.reinvite(sdp(5000, address="127.0.0.1", direction="inactive", version=2))
    lab.run(0.2)
    assert direction_of(leg.reinvited[1]) == "inactive"
    leg.reinvite(b"")  # Cisco's way back: asks for our offer, answers in the ACK
    lab.run(0.2)
    assert leg.reinvited[0] == 200
    assert media_port(leg.reinvited[1]) == media_port(first)
    assert direction_of(leg.reinvited[1]) == "sendrecv"
    callee = lab.call_of().callee
    assert callee is not None
    agent = lab.media[0].point(callee.leg_id)
    assert (agent.send, agent.receive) == (True, True)
    leg.hang_up()
    lab.assert_nothing_left(calls=1)
    assert caller.ended == "bye"


def test_reinvite_without_a_common_codec_is_refused_and_the_call_goes_on() -> None:
    lab = Lab()
    call, phone = talking(lab)
    call.reinvite(sdp(4000, formats="18", extra="a=rtpmap:18 G729/8000\r\n", version=2))
    lab.run(0.2)
    assert call.reinvited[0] == 488
    assert point(lab).remote == ("127.0.0.2", 4000)
    assert phone.taken().up
    call.hang_up()
    lab.assert_nothing_left(calls=1)


def test_queued_caller_who_holds_keeps_the_place() -> None:
    lab = Lab()
    call = lab.queue_call()
    lab.run(0.1)
    call.reinvite(sdp(4000, direction="sendonly", version=2))
    lab.run(0.2)
    assert call.reinvited[0] == 200
    assert len(lab.broker.waiting()) == 1
    (phone,) = lab.agents(1)
    lab.until(lambda: phone.taken_count and phone.taken().confirmed)
    call.reinvite(OFFER)
    lab.run(0.2)
    call.hang_up()
    lab.assert_nothing_left(calls=1)


def test_digit_by_info_in_a_talking_call_is_sent_on_as_rfc_4733() -> None:
    lab = Lab()
    call, phone = talking(lab)
    call.info("5")
    phone.taken().info("#")
    lab.run(0.2)
    mine = lab.call_of()
    assert mine.callee is not None
    assert lab.media[0].point(mine.callee.leg_id).digits == b"5"
    assert point(lab).digits == b"#"
    call.hang_up()
    lab.assert_nothing_left(calls=1)
