"""Reasons, results, SIP and Q.850 causes of the end of a call."""

from __future__ import annotations

import pytest

from common.contracts.outcome import Reason, Result
from tas.calls.outcomes import RELAYED, outcome, rejection, relayed_status

REFUSALS = [*range(300, 306), *range(400, 700)]


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_its_result_and_causes(reason: Reason) -> None:
    found = outcome(reason)
    assert found.reason is reason
    assert (found.sip_cause == 200) is (found.result is Result.ANSWERED)
    assert 1 <= found.q850_cause <= 127


def test_result_and_cause_may_be_said_otherwise() -> None:
    found = outcome(Reason.CALLER_HANGUP, result=Result.ABANDONED, sip_cause=487)
    assert (found.result, found.sip_cause, found.q850_cause) == (Result.ABANDONED, 487, 16)


def test_cause_that_the_peer_said_goes_before_the_usual_one() -> None:
    assert outcome(Reason.CALLER_HANGUP, said=b"SIP;cause=200, Q.850;cause=26").q850_cause == 26
    assert outcome(Reason.CALLER_HANGUP, said=b"SIP;cause=200").q850_cause == 16
    assert rejection(486, trunk=True, said=b"Q.850;cause=34").q850_cause == 34


@pytest.mark.parametrize(
    ("status", "trunk", "reason"),
    [
        (486, False, Reason.BUSY),
        (600, True, Reason.BUSY),
        (480, False, Reason.NO_ANSWER),
        (408, True, Reason.NO_ANSWER),
        (404, True, Reason.UNKNOWN_NUMBER),
        (484, True, Reason.UNKNOWN_NUMBER),
        (604, True, Reason.UNKNOWN_NUMBER),
        (488, False, Reason.NO_COMMON_CODEC),
        (606, True, Reason.NO_COMMON_CODEC),
        (503, True, Reason.TRUNK_UNREACHABLE),
        (503, False, Reason.NOT_REGISTERED),
        (500, True, Reason.TRUNK_REJECTED),
        (403, True, Reason.TRUNK_REJECTED),
        (302, True, Reason.TRUNK_REJECTED),
        (603, False, Reason.DECLINED),
        (302, False, Reason.DECLINED),
    ],
)
def test_refusal_of_the_called_party_has_its_reason(status: int, trunk: bool, reason: Reason) -> None:
    assert rejection(status, trunk=trunk).reason is reason


@pytest.mark.parametrize("trunk", [False, True])
def test_no_refusal_is_without_an_outcome_that_says_so(trunk: bool) -> None:
    for status in REFUSALS:
        found = rejection(status, trunk=trunk)
        assert found.result is Result.REJECTED
        assert found.sip_cause == (480 if status == 503 and not trunk else status)


@pytest.mark.parametrize("trunk", [False, True])
def test_caller_is_told_only_what_cannot_mislead(trunk: bool) -> None:
    for status in REFUSALS:
        told = relayed_status(status, trunk=trunk)
        assert told in RELAYED
        assert told in (status, 480)


@pytest.mark.parametrize("status", [301, 302, 305, 401, 407, 420, 421, 482, 483, 491, 494, 500, 501, 502, 504, 513])
def test_what_is_between_us_and_the_called_party_is_told_as_unavailable(status: int) -> None:
    assert relayed_status(status, trunk=True) == 480


def test_phone_that_is_away_is_no_overloaded_server_to_the_caller() -> None:
    assert (relayed_status(503, trunk=False), relayed_status(503, trunk=True)) == (480, 503)
