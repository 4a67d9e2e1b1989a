"""Queue calls on the virtual clock: the main path and whatever a caller or an agent's phone may do instead."""

from __future__ import annotations

import pytest

from common.contracts.agents import AgentState
from tests.scenarios.support.lab import Lab
from tests.scenarios.support.peers import Behaviour, Phone

LOGGED_OUT, READY, NOT_READY = AgentState.LOGGED_OUT, AgentState.READY, AgentState.NOT_READY
RESERVED, RINGING, TALKING, WRAP_UP = (
    AgentState.RESERVED,
    AgentState.RINGING,
    AgentState.TALKING,
    AgentState.WRAP_UP,
)
NEVER_ANSWERS = Behaviour(answer_s=None)
ALL_STATES = [READY, RESERVED, RINGING, TALKING, WRAP_UP, READY]


def rings(phone: Phone) -> bool:
    """Whether a call rings there now."""
    return any(call.answered_at is None and not call.over for call in phone.calls)


def talks(phone: Phone) -> bool:
    return any(call.up and call.confirmed for call in phone.calls)


def test_queue_call_goes_from_invite_to_wrap_up_to_ready_with_one_cdr() -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    caller = lab.queue_call()
    lab.until(lambda: talks(phone))
    lab.run(1.0)
    media = lab.media[0]
    call = lab.call_of()
    assert call.callee is not None
    assert media.session(call.caller.leg_id).bridged == call.callee.leg_id
    assert media.point(call.caller.leg_id).prompts == ()  # the music stopped with the bridge
    assert media.point(call.callee.leg_id).remote == ("127.0.0.1", 5000)
    assert lab.state("1001") == (TALKING, "")
    caller.hang_up()
    lab.run(1.0)
    assert phone.taken().ended == "bye"
    assert lab.state("1001") == (WRAP_UP, "")
    lab.run(5.0)
    assert [state for state, _ in lab.broker.states_of("1001")] == ALL_STATES
    (cdr,) = lab.cdrs
    assert (cdr.result, cdr.reason, cdr.agent, cdr.queue) == ("answered", "caller_hangup", "1001", "support")
    assert (cdr.caller, cdr.called, cdr.trunk, cdr.direction) == ("0301234567", "8000", "pbx", "in")
    assert (cdr.codec_a, cdr.codec_b, cdr.media_server, cdr.packets_lost) == ("PCMA", "PCMA", "media-1", 2)
    assert cdr.talk_s == pytest.approx(1.0, abs=0.1)
    lab.assert_nothing_left(calls=1)


def test_queue_call_ended_by_the_agent_says_so_in_the_cdr() -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    phone.behaviour = Behaviour(hang_up_s=3.0)
    caller = lab.queue_call()
    lab.until(lambda: caller.ended)
    assert caller.ended == "bye"
    lab.assert_nothing_left(calls=1)
    assert (lab.cdrs[0].result, lab.cdrs[0].reason) == ("answered", "agent_hangup")
    assert lab.state("1001") == (READY, "")


def test_caller_is_shown_on_the_agents_phone() -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    caller = lab.pbx.call("8000", headers=((b"p-asserted-identity", b'"Ada" <sip:+4930999@pbx>'),))
    lab.until(lambda: talks(phone))
    request = phone.taken().request
    assert request is not None
    assert request.from_.parsed_uri().user == b"+4930999"
    assert request.from_.display == b"Ada"
    assert b"sip:+4930999@" in (request.get(b"p-asserted-identity") or b"")
    caller.hang_up()
    lab.assert_nothing_left(calls=1)
    assert lab.cdrs[0].caller == "+4930999"


def test_caller_who_abandons_while_queued_leaves_an_empty_queue() -> None:
    lab = Lab()
    caller = lab.queue_call()
    assert caller.up
    lab.run(2.0)
    assert len(lab.broker.waiting()) == 1
    assert lab.media[0].point(lab.call_of().caller.leg_id).loops
    caller.hang_up()
    lab.run(0.1)
    assert lab.broker.waiting() == []
    lab.assert_nothing_left(calls=1)
    assert (lab.cdrs[0].result, lab.cdrs[0].reason) == ("abandoned", "caller_hangup")
    assert lab.cdrs[0].wait_s == pytest.approx(2.0, abs=0.1)


def test_caller_who_cancels_before_the_answer_leaves_nothing() -> None:
    lab = Lab()
    caller = lab.pbx.call("8000")
    lab.run(0.003)  # the INVITE has arrived, the media server has not replied
    caller.hang_up()
    lab.assert_nothing_left(calls=1)
    assert lab.cdrs[0].result == "abandoned"


def test_caller_who_abandons_while_the_phone_rings_cancels_at_once_and_the_agent_keeps_the_place() -> None:
    lab = Lab()
    first, second = lab.agents(2)
    first.behaviour = NEVER_ANSWERS
    caller = lab.queue_call()
    lab.until(lambda: rings(first))
    lab.run(3.0)
    caller.hang_up()
    hung_up_at = lab.now
    lab.until(lambda: not rings(first))
    assert lab.now - hung_up_at < 0.1
    assert first.taken().ended == "cancel"
    lab.run(0.1)
    assert lab.state("1001") == (READY, "")
    first.behaviour = Behaviour()
    again = lab.queue_call()
    lab.until(lambda: talks(first) or talks(second))
    assert talks(first)
    again.hang_up()
    lab.assert_nothing_left(calls=2)
    assert (lab.cdrs[0].result, lab.cdrs[0].reason, lab.cdrs[0].agent) == ("abandoned", "caller_hangup", "")


def test_agent_who_does_not_answer_is_not_ready_and_the_caller_keeps_the_old_clock() -> None:
    lab = Lab()
    (first,) = lab.agents(1)
    first.behaviour = NEVER_ANSWERS
    old = lab.queue_call(caller="0301")
    lab.until(lambda: rings(first))
    young = lab.queue_call(caller="0302")
    lab.until(lambda: not rings(first))
    assert lab.now - old.started_at == pytest.approx(15.0, abs=0.2)
    lab.run(0.1)
    assert lab.state("1001") == (NOT_READY, "RNA")
    assert len(lab.broker.waiting()) == 2
    (second,) = lab.agents(1, first=1002)
    lab.until(lambda: talks(second))
    request = second.taken().request
    assert request is not None
    assert request.from_.parsed_uri().user == b"0301"
    old.hang_up()
    lab.until(lambda: second.taken_count == 2 and talks(second))
    young.hang_up()
    lab.assert_nothing_left(calls=2)
    assert {row.agent for row in lab.cdrs} == {"1002"}
    assert lab.cdrs[0].wait_s > 15.0


def test_next_agent_is_rung_at_once_when_the_first_does_not_answer() -> None:
    lab = Lab()
    first, second = lab.agents(2)
    first.behaviour = NEVER_ANSWERS
    caller = lab.queue_call()
    lab.until(lambda: first.taken_count and first.taken().over)
    cancelled_at = lab.now
    lab.until(lambda: talks(second))
    assert lab.now - cancelled_at < 0.3  # 0.1 s of it is the second agent's own
    caller.hang_up()
    lab.assert_nothing_left(calls=1)
    assert lab.cdrs[0].agent == "1002"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (486, "REJECTED"),
        (600, "REJECTED"),
        (603, "REJECTED"),
        (480, "REJECTED"),
        (500, "PHONE_DOWN"),
        (404, "PHONE_DOWN"),
    ],
)
def test_agent_whose_phone_refuses_is_not_ready_and_the_next_is_rung(status: int, reason: str) -> None:
    lab = Lab()
    first, second = lab.agents(2)
    first.behaviour = Behaviour(reject=status)
    caller = lab.queue_call()
    lab.until(lambda: talks(second), 2.0)
    assert lab.state("1001") == (NOT_READY, reason)
    assert not caller.over
    caller.hang_up()
    lab.assert_nothing_left(calls=1)
    assert (lab.cdrs[0].result, lab.cdrs[0].agent) == ("answered", "1002")


def test_agent_whose_phone_answers_without_a_usable_codec_counts_as_a_refusal() -> None:
    lab = Lab()
    first, second = lab.agents(2)
    first.behaviour = Behaviour(body=b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 0 RTP/AVP 8\r\n")
    caller = lab.queue_call()
    lab.until(lambda: talks(second), 2.0)
    lab.run(0.1)
    assert first.taken().ended == "bye"
    assert lab.state("1001") == (NOT_READY, "REJECTED")
    caller.hang_up()
    lab.assert_nothing_left(calls=1)


def test_agent_whose_phone_has_vanished_is_not_ready_and_the_next_is_rung() -> None:
    lab = Lab(queue={"timeout": 5.0})
    first, second = lab.agents(2)
    first.vanish()
    caller = lab.queue_call()
    lab.until(lambda: talks(second), 40.0)
    assert lab.now - caller.started_at < 6.0
    assert lab.state("1001")[0] is NOT_READY
    caller.hang_up()
    lab.assert_nothing_left(calls=1)


def test_agent_whose_phone_unregisters_while_it_rings_is_logged_out_after_it() -> None:
    lab = Lab()
    first, second = lab.agents(2)
    first.behaviour = NEVER_ANSWERS
    caller = lab.queue_call()
    lab.until(lambda: rings(first))
    first.register(0)
    lab.until(lambda: talks(second), 20.0)
    assert lab.state("1001")[0] is LOGGED_OUT
    caller.hang_up()
    lab.assert_nothing_left(calls=1)


def test_agent_whose_registration_expires_is_logged_out_and_gets_no_call() -> None:
    lab = Lab()
    phone = lab.phone("1001")
    phone.register(60)
    lab.run(1.0)
    assert lab.state("1001")[0] is READY
    lab.run(60.0)
    assert lab.state("1001")[0] is LOGGED_OUT
    caller = lab.queue_call()
    lab.run(1.0)
    assert phone.taken_count == 0
    caller.hang_up()
    lab.assert_nothing_left(calls=1)


def test_two_hundred_that_crosses_our_cancel_is_ended_and_nothing_is_left() -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    phone.behaviour = Behaviour(answer_s=3.0)
    caller = lab.queue_call()
    lab.until(lambda: rings(phone))
    rung_at = lab.now
    lab.run(rung_at + 2.999 - lab.now)
    caller.hang_up()  # the CANCEL is on its way while the phone answers
    lab.run(0.5)
    assert phone.taken().answered_at is not None
    assert phone.taken().ended == "bye"
    lab.assert_nothing_left(calls=1)
    assert lab.state("1001") == (READY, "")
    assert lab.cdrs[0].result == "abandoned"


def test_longest_idle_agent_is_rung_first() -> None:
    lab = Lab(queue={"wrapuptime": 0.0})
    phones = lab.agents(3)
    order = []
    for _ in range(6):
        caller = lab.queue_call()
        lab.until(lambda: any(talks(phone) for phone in phones))
        order.append(next(phone.agent for phone in phones if talks(phone)))
        caller.hang_up()
        lab.run(0.5)
    assert order == ["1001", "1002", "1003"] * 2
    lab.assert_nothing_left(calls=6)


def test_longest_waiting_caller_is_served_first_by_the_agent_who_becomes_ready() -> None:
    lab = Lab(queue={"wrapuptime": 0.0})
    callers = [lab.queue_call(caller=f"030{number}") for number in range(4)]
    (phone,) = lab.agents(1)
    served = []
    for caller in callers:
        lab.until(lambda: talks(phone))
        request = phone.taken(len(served)).request
        assert request is not None
        served.append((request.from_.parsed_uri().user or b"").decode())
        caller.hang_up()
        lab.run(0.2)
    assert served == ["0300", "0301", "0302", "0303"]
    lab.assert_nothing_left(calls=4)


def test_agent_who_becomes_ready_takes_the_waiting_caller_within_a_tenth_of_a_second() -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    lab.broker.set_state("1001", False, "7")
    caller = lab.queue_call()
    lab.run(5.0)
    assert phone.taken_count == 0
    lab.broker.set_state("1001", True)
    ready_at = lab.now
    lab.until(lambda: rings(phone))
    assert lab.now - ready_at < 0.1
    lab.until(lambda: talks(phone))
    caller.hang_up()
    lab.assert_nothing_left(calls=1)


def test_not_ready_asked_for_during_a_call_is_honoured_after_wrap_up() -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    caller = lab.queue_call()
    lab.until(lambda: talks(phone))
    lab.broker.set_state("1001", False, "12")
    lab.run(1.0)
    assert lab.state("1001")[0] is TALKING
    caller.hang_up()
    lab.run(1.0)
    assert lab.state("1001")[0] is WRAP_UP
    lab.run(5.0)
    assert lab.state("1001") == (NOT_READY, "12")
    lab.assert_nothing_left(calls=1)


def test_queued_call_is_ended_by_order_of_a_supervisor() -> None:
    lab = Lab()
    caller = lab.queue_call()
    lab.broker.broker.hang_up(lab.call_of().uid)
    lab.until(lambda: caller.ended)
    lab.assert_nothing_left(calls=1)
    assert (lab.cdrs[0].result, lab.cdrs[0].reason) == ("failed", "shutdown")


def test_talking_call_is_ended_by_order_of_a_supervisor() -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    caller = lab.queue_call()
    lab.until(lambda: talks(phone))
    lab.broker.broker.hang_up(lab.call_of().uid)
    lab.until(lambda: caller.ended and phone.taken().ended)
    lab.assert_nothing_left(calls=1)
    assert (lab.cdrs[0].result, lab.cdrs[0].reason) == ("answered", "completed")


def test_caller_who_waits_max_wait_s_is_released() -> None:
    lab = Lab(queue={"max_wait_s": 20.0})
    (phone,) = lab.agents(1)
    phone.behaviour = NEVER_ANSWERS
    caller = lab.queue_call()
    lab.until(lambda: caller.ended)
    assert lab.now - caller.started_at == pytest.approx(20.0, abs=0.1)
    lab.assert_nothing_left(calls=1)
    assert (lab.cdrs[0].result, lab.cdrs[0].reason) == ("abandoned", "queue_timeout")


def test_caller_is_released_while_the_phone_rings_when_max_wait_s_is_over() -> None:
    lab = Lab(queue={"max_wait_s": 5.0})
    (phone,) = lab.agents(1)
    phone.behaviour = NEVER_ANSWERS
    caller = lab.queue_call()
    lab.until(lambda: caller.ended)
    lab.run(0.1)
    assert phone.taken().ended == "cancel"
    assert lab.state("1001") == (READY, "")
    lab.assert_nothing_left(calls=1)


def test_empty_queue_that_may_not_be_joined_releases_the_caller() -> None:
    lab = Lab(queue={"joinempty": False})
    caller = lab.queue_call()
    lab.until(lambda: caller.ended, 1.0)
    lab.assert_nothing_left(calls=1)
    assert (lab.cdrs[0].result, lab.cdrs[0].reason) == ("rejected", "queue_unavailable")


def test_full_queue_releases_the_caller_who_comes_too_late() -> None:
    lab = Lab(queue={"maxlen": 2})
    first, second, third = (lab.queue_call(caller=f"030{number}") for number in range(3))
    lab.until(lambda: third.ended, 1.0)
    assert len(lab.broker.waiting()) == 2
    first.hang_up()
    second.hang_up()
    lab.assert_nothing_left(calls=3)
    assert (lab.cdrs[0].result, lab.cdrs[0].reason) == ("rejected", "queue_full")


def test_caller_who_never_acknowledges_the_answer_is_ended_as_a_signalling_timeout() -> None:
    lab = Lab()
    caller = lab.pbx.call("8000")
    lab.until(lambda: lab.tas[0].control.calls and lab.call_of().caller.answered_at)
    lab.pbx.world.hosts.pop(lab.pbx.address)
    lab.until(lambda: not lab.tas[0].control.calls)
    assert not caller.up
    lab.pbx.world.hosts[lab.pbx.address] = lab.pbx
    lab.assert_nothing_left(calls=1, waiting_s=80.0)
    assert (lab.cdrs[0].result, lab.cdrs[0].reason) == ("failed", "signalling_timeout")


def test_phone_that_leaves_by_bye_while_it_rings_does_not_hold_the_caller_up() -> None:
    lab = Lab()
    first, second = lab.agents(2)
    first.behaviour = NEVER_ANSWERS
    caller = lab.queue_call()
    lab.until(lambda: rings(first))
    early = first.taken().usage
    assert early is not None
    early.send_bye(early.dialog, None, lab.now)  # type: ignore[arg-type]
    first.taken().hang_up()
    lab.until(lambda: talks(second), 2.0)
    assert lab.state("1001")[0] is NOT_READY
    caller.hang_up()
    lab.assert_nothing_left(calls=1)
