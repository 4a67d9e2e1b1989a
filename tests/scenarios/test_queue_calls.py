"""Queue calls on the virtual clock: the main path and everything a caller or an agent's phone may do instead."""

from __future__ import annotations

import pytest

from common.contracts.agents import AgentState
from tests.scenarios.support.lab import Lab

READY, NOT_READY, TALKING = AgentState.READY, AgentState.NOT_READY, AgentState.TALKING
RESERVED, RINGING, WRAP_UP = AgentState.RESERVED, AgentState.RINGING, AgentState.WRAP_UP


def test_queue_call_goes_from_invite_to_wrap_up_to_ready_with_one_cdr() -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    caller = lab.queue_call()
    lab.until(lambda: phone.taken_count and phone.taken().up)
    lab.run(1.0)
    media = lab.media[0]
    call = lab.call_of()
    assert call.state == "talking"
    assert call.callee is not None
    assert media.session(call.caller.leg_id).bridged == call.callee.leg_id
    assert media.point(call.caller.leg_id).prompts == ()  # the music stopped with the bridge
    assert lab.state("1001") == (TALKING, "")
    caller.hang_up()
    lab.run(1.0)
    assert phone.taken().ended == "bye"
    assert lab.state("1001") == (WRAP_UP, "")
    lab.run(5.0)
    assert [state for state, _ in lab.broker.states_of("1001")] == [READY, RESERVED, RINGING, TALKING, WRAP_UP, READY]
    (cdr,) = lab.cdrs
    assert (cdr.result, cdr.reason, cdr.agent, cdr.queue) == ("answered", "caller_hangup", "1001", "support")
    assert (cdr.caller, cdr.called, cdr.trunk, cdr.codec_a, cdr.codec_b) == (
        "0301234567",
        "8000",
        "pbx",
        "PCMA",
        "PCMA",
    )
    assert cdr.talk_s == pytest.approx(1.0, abs=0.1)
    lab.assert_nothing_left(calls=1)
