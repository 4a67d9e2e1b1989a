"""Why one leg ended is told to the other and to the CDR (RFC 3326), whatever the call's state."""

from __future__ import annotations

import pytest

from tests.scenarios.support.lab import PBX, Lab
from tests.scenarios.support.peers import Behaviour, Phone
from tests.unit.tas.sip.support import header

ELSEWHERE = b'SIP;cause=200;text="Call completed elsewhere", Q.850;cause=26'
CONGESTION = b'Q.850;cause=34;text="No circuit"'


def told(lab: Lab, start: bytes, target: tuple[str, int]) -> list[bytes]:
    """Reason headers of the messages of a kind that went to an address."""
    sent = [data for _, _, to, data in lab.world.wire or [] if to == target and data.startswith(start)]
    return [header(data, b"Reason") for data in sent]


def ringing(answer_s: float | None = 0.1, **more: object) -> tuple[Lab, Phone]:
    """A trunk caller's number is that of this agent."""
    lab = Lab()
    (phone,) = lab.agents(1)
    phone.behaviour = Behaviour(answer_s=answer_s, **more)  # type: ignore[arg-type]
    return lab, phone


def test_reason_of_the_callers_bye_reaches_the_agents_phone_and_the_cdr() -> None:
    lab, phone = ringing()
    call = lab.pbx.call("1001")
    lab.until(lambda: call.up)
    call.hang_up(reason=CONGESTION)
    lab.assert_nothing_left(calls=1)
    assert told(lab, b"BYE", phone.address) == [CONGESTION]
    assert (lab.cdrs[0].reason, lab.cdrs[0].q850_cause) == ("caller_hangup", 34)


def test_reason_of_the_agents_bye_reaches_the_caller_and_the_cdr() -> None:
    lab, phone = ringing()
    call = lab.queue_call()
    lab.until(lambda: any(taken.up and taken.confirmed for taken in phone.calls))
    phone.taken().hang_up(reason=CONGESTION)
    lab.until(lambda: call.ended)
    lab.assert_nothing_left(calls=1)
    assert told(lab, b"BYE", PBX) == [CONGESTION]
    assert (lab.cdrs[0].reason, lab.cdrs[0].q850_cause) == ("agent_hangup", 34)


def test_bye_without_a_reason_is_told_as_normal_clearing() -> None:
    lab, phone = ringing()
    call = lab.pbx.call("1001")
    lab.until(lambda: call.up)
    phone.taken().hang_up()
    lab.assert_nothing_left(calls=1)
    assert told(lab, b"BYE", PBX) == [b'Q.850;cause=16;text="Normal call clearing"']
    assert lab.cdrs[0].q850_cause == 16


def test_reason_of_the_callers_cancel_reaches_the_ringing_phone_and_the_cdr() -> None:
    lab, phone = ringing(answer_s=None)
    call = lab.pbx.call("1001")
    lab.until(lambda: call.progress)
    call.hang_up(reason=ELSEWHERE)
    lab.assert_nothing_left(calls=1)
    assert told(lab, b"CANCEL", phone.address) == [ELSEWHERE]
    assert (lab.cdrs[0].reason, lab.cdrs[0].q850_cause) == ("caller_cancelled", 26)


@pytest.mark.parametrize(("reason", "cause"), [(CONGESTION, 34), (b"", 17)])
def test_reason_of_a_refusal_reaches_the_caller_and_the_cdr(reason: bytes, cause: int) -> None:
    lab, _ = ringing(reject=486, reason=reason)
    call = lab.pbx.call("1001")
    lab.until(lambda: call.rejected)
    assert call.rejected == 486
    lab.assert_nothing_left(calls=1)
    assert set(told(lab, b"SIP/2.0 486", PBX)) == {reason}
    assert (lab.cdrs[0].reason, lab.cdrs[0].q850_cause) == ("busy", cause)


def test_fault_of_one_leg_is_told_to_the_other() -> None:
    lab = Lab(trunk={"session_expires_s": 90, "refresher": "us"})
    (phone,) = lab.agents(1)
    call = lab.pbx.call("1001")
    lab.until(lambda: call.up)
    lab.pbx.die()
    lab.until(lambda: phone.taken().ended, 100.0)
    lab.assert_nothing_left(calls=1, waiting_s=100.0)
    assert told(lab, b"BYE", phone.address) == [b"Q.850;cause=102"]
    assert lab.cdrs[0].q850_cause == 102
