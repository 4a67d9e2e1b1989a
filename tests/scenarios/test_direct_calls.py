"""Direct calls on the virtual clock: agent to agent, agent to outside, trunk to agent, and how each may fail."""

from __future__ import annotations

import pytest

from common.contracts.agents import AgentState
from tests.scenarios.support.lab import Lab
from tests.scenarios.support.peers import Behaviour
from tests.scenarios.support.sdp import ANSWER, media_port, sdp

READY, NOT_READY, TALKING, RINGING = (
    AgentState.READY,
    AgentState.NOT_READY,
    AgentState.TALKING,
    AgentState.RINGING,
)


@pytest.mark.parametrize("other_tas", [0, 1])
def test_agent_calls_agent_and_both_are_talking_for_the_acd(other_tas: int) -> None:
    lab = Lab(tas=2)
    (first,) = lab.agents(1)
    (second,) = lab.agents(1, first=1002, tas=other_tas)
    second.behaviour = Behaviour(answer_s=2.0)
    call = first.dial("1002")
    lab.run(1.0)
    assert call.progress == [180]
    assert (lab.state("1001")[0], lab.state("1002")[0]) == (TALKING, RINGING)
    lab.run(2.0)
    assert call.up
    assert second.taken().up
    assert (lab.state("1001")[0], lab.state("1002")[0]) == (TALKING, TALKING)
    waiting = lab.queue_call()
    lab.run(1.0)
    assert waiting.up
    assert lab.broker.waiting() != []  # neither of them is offered the call
    call.hang_up()
    lab.until(lambda: lab.broker.waiting() == [])  # now one is
    waiting.hang_up()
    lab.assert_nothing_left(calls=2)
    direct = next(row for row in lab.cdrs if row.direction == "internal")
    assert (direct.caller, direct.called, direct.agent) == ("1001", "1002", "1002")
    assert (direct.result, direct.reason) == ("answered", "caller_hangup")


def test_called_agent_hangs_up() -> None:
    lab = Lab()
    first, second = lab.agents(2)
    second.behaviour = Behaviour(hang_up_s=1.0)
    call = first.dial("1002")
    lab.until(lambda: call.ended)
    lab.assert_nothing_left(calls=1)
    assert lab.cdrs[0].reason == "called_hangup"
    assert (lab.state("1001"), lab.state("1002")) == ((READY, ""), (READY, ""))


def test_agent_who_was_not_ready_is_so_again_after_a_direct_call() -> None:
    lab = Lab()
    first, second = lab.agents(2)
    lab.broker.set_state("1002", False, "5")
    call = first.dial("1002")
    lab.until(lambda: call.up)
    lab.run(0.1)
    assert lab.state("1002")[0] is TALKING
    call.hang_up()
    lab.assert_nothing_left(calls=1)
    assert lab.state("1002") == (NOT_READY, "5")
    assert second.taken().ended == "bye"


@pytest.mark.parametrize(
    ("status", "told", "result", "reason"),
    [
        (486, 486, "rejected", "busy"),
        (603, 603, "rejected", "declined"),
        (500, 480, "rejected", "declined"),
        (401, 480, "rejected", "declined"),
        (302, 480, "rejected", "declined"),
    ],
)
def test_agent_calls_agent_who_refuses(status: int, told: int, result: str, reason: str) -> None:
    lab = Lab()
    first, second = lab.agents(2)
    second.behaviour = Behaviour(reject=status)
    call = first.dial("1002")
    lab.until(lambda: call.over)
    assert call.rejected == told
    lab.assert_nothing_left(calls=1)
    assert (lab.cdrs[0].result, lab.cdrs[0].reason, lab.cdrs[0].sip_cause) == (result, reason, status)
    assert lab.state("1002") == (READY, "")


def test_agent_calls_agent_who_never_answers() -> None:
    lab = Lab()
    first, second = lab.agents(2)
    second.behaviour = Behaviour(answer_s=None)
    call = first.dial("1002")
    lab.until(lambda: call.over, 70.0)
    assert call.rejected == 480
    assert second.taken().ended == "cancel"
    lab.assert_nothing_left(calls=1)
    assert lab.cdrs[0].reason == "no_answer"


def test_agent_calls_agent_who_is_not_registered() -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    call = phone.dial("1002")
    lab.until(lambda: call.over)
    assert call.rejected == 480
    lab.assert_nothing_left(calls=1)
    assert lab.cdrs[0].reason == "not_registered"


def test_calling_agent_gives_up_while_the_other_phone_rings() -> None:
    lab = Lab()
    first, second = lab.agents(2)
    second.behaviour = Behaviour(answer_s=None)
    call = first.dial("1002")
    lab.run(2.0)
    call.hang_up()
    lab.run(0.1)
    assert second.taken().ended == "cancel"
    lab.assert_nothing_left(calls=1)
    assert (lab.cdrs[0].result, lab.cdrs[0].reason) == ("abandoned", "caller_cancelled")


def test_agent_calls_a_queue_and_reaches_another_agent() -> None:
    lab = Lab()
    first, second = lab.agents(2)
    lab.broker.set_state("1001", False)
    call = first.dial("8000")
    lab.until(lambda: second.taken_count and second.taken().confirmed)
    lab.run(0.1)
    assert (lab.state("1001")[0], lab.state("1002")[0]) == (NOT_READY, TALKING)
    call.hang_up()
    lab.assert_nothing_left(calls=1)
    assert (lab.cdrs[0].queue, lab.cdrs[0].agent, lab.cdrs[0].caller) == ("support", "1002", "1001")


def test_agent_calls_out_over_the_trunk_with_ringing() -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    lab.pbx.behaviour = Behaviour(answer_s=1.0)
    call = phone.dial("030555")
    lab.run(0.5)
    assert call.progress == [180]
    assert lab.pbx.taken().number == "030555"
    lab.until(lambda: call.up)
    assert lab.tas[0].node.trunks.by_name["pbx"].channels == 1
    call.hang_up()
    lab.assert_nothing_left(calls=1)
    row = lab.cdrs[0]
    assert (row.direction, row.trunk, row.caller, row.called, row.agent) == ("out", "pbx", "1001", "030555", "1001")
    assert (row.result, row.reason) == ("answered", "caller_hangup")


def test_agent_hears_early_media_of_the_trunk_before_the_answer() -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    early = sdp(6000, formats="8 101")
    lab.pbx.behaviour = Behaviour(answer_s=2.0, early_body=early, body=early)
    call = phone.dial("030555")
    lab.run(1.0)
    assert call.progress == [183]
    mine = lab.call_of()
    assert mine.callee is not None
    media = lab.media[0]
    assert media.session(mine.caller.leg_id).bridged == mine.callee.leg_id
    assert media.point(mine.callee.leg_id).remote == ("127.0.0.2", 6000)
    assert media_port(call.early_body) == media.session(mine.caller.leg_id).port
    lab.until(lambda: call.up)
    assert call.body == call.early_body  # RFC 3264: the same description in 183 and 200
    lab.pbx.taken().hang_up()
    lab.assert_nothing_left(calls=1)
    assert lab.cdrs[0].reason == "called_hangup"


@pytest.mark.parametrize(
    ("status", "told", "reason"),
    [(486, 486, "busy"), (404, 404, "unknown_number"), (503, 503, "trunk_unreachable"), (500, 480, "trunk_rejected")],
)
def test_outside_party_refuses(status: int, told: int, reason: str) -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    lab.pbx.behaviour = Behaviour(reject=status)
    call = phone.dial("030555")
    lab.until(lambda: call.over)
    assert call.rejected == told
    lab.assert_nothing_left(calls=1)
    assert (lab.cdrs[0].result, lab.cdrs[0].reason, lab.cdrs[0].direction) == ("rejected", reason, "out")
    assert lab.state("1001") == (READY, "")


def test_call_manager_that_does_not_respond_at_all() -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    lab.world.hosts.pop(lab.pbx.address)
    call = phone.dial("030555")
    lab.until(lambda: call.over, 70.0)
    assert call.rejected in (408, 480)
    lab.assert_nothing_left(calls=1)
    assert lab.cdrs[0].result == "rejected"


def test_trunk_whose_options_go_unanswered_refuses_calls_out_until_it_is_back() -> None:
    lab = Lab(trunk={"options_interval_s": 10.0})
    (phone,) = lab.agents(1)
    lab.world.hosts.pop(lab.pbx.address)
    lab.run(60.0)
    call = phone.dial("030555")
    lab.until(lambda: call.over, 1.0)
    assert call.rejected == 503
    assert call.response is not None
    assert call.response.get(b"retry-after")
    lab.world.hosts[lab.pbx.address] = lab.pbx
    lab.run(45.0)
    again = phone.dial("030555")
    lab.until(lambda: again.up)
    again.hang_up()
    lab.run(40.0)
    assert lab.cdrs[0].reason == "trunk_unreachable"
    assert lab.cdrs[1].reason == "caller_hangup"
    assert not lab.tas[0].control.calls
    assert lab.media[0].left_over() == {"sessions": 0, "points": 0, "ports": 0}


def test_trunk_with_all_channels_in_use_refuses_calls_both_ways() -> None:
    lab = Lab(trunk={"max_channels": 1})
    (phone,) = lab.agents(1)
    waiting = lab.queue_call()
    lab.until(lambda: phone.taken_count and phone.taken().confirmed)
    second = lab.queue_call()
    assert second.rejected == 503
    out = phone.dial("030555")
    lab.until(lambda: out.over, 1.0)
    assert out.rejected == 503
    waiting.hang_up()
    lab.assert_nothing_left(calls=2)  # the refused INVITE of the trunk never became a call


def test_caller_of_the_trunk_reaches_an_agent_by_number() -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    call = lab.pbx.call("1001")
    lab.until(lambda: call.up)
    assert call.progress == [180]
    lab.run(0.1)
    assert lab.state("1001")[0] is TALKING
    phone.taken().hang_up()
    lab.assert_nothing_left(calls=1)
    assert (lab.cdrs[0].direction, lab.cdrs[0].agent, lab.cdrs[0].reason) == ("in", "1001", "called_hangup")


def test_caller_without_an_offer_reaches_an_agent_with_media_from_the_ack_on() -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    call = lab.pbx.call("1001", body=b"")
    lab.until(lambda: call.up and phone.taken().confirmed)
    lab.run(0.1)
    mine = lab.call_of()
    assert mine.callee is not None
    assert lab.media[0].point(mine.caller.leg_id).remote == ("127.0.0.1", media_port(ANSWER))
    assert lab.media[0].session(mine.caller.leg_id).bridged == mine.callee.leg_id
    call.hang_up()
    lab.assert_nothing_left(calls=1)


def test_two_calls_to_one_agent_end_one_after_the_other_and_the_agent_is_ready_after_both() -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    first, second = lab.pbx.call("1001", caller="0301"), lab.pbx.call("1001", caller="0302")
    lab.until(lambda: first.up and second.up)
    first.hang_up()
    lab.run(0.2)
    assert lab.state("1001")[0] is TALKING
    second.hang_up()
    lab.run(0.2)
    assert lab.state("1001") == (READY, "")
    assert phone.taken_count == 2
    lab.assert_nothing_left(calls=2)


def test_outside_number_dialled_by_the_trunk_is_forbidden() -> None:
    lab = Lab()
    call = lab.pbx.call("030555")
    lab.until(lambda: call.over)
    assert call.rejected == 403
    lab.assert_nothing_left(calls=1)
    assert lab.cdrs[0].reason == "not_allowed"
