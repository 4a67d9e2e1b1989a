"""Agents in calls: direct ones, several at once, wrap-up, phones that go meanwhile."""

from __future__ import annotations

import pytest

from common.contracts.calls import OfferResult
from tests.unit.agentbroker.acd.support import Acd


@pytest.fixture
def acd() -> Acd:
    acd = Acd({"support": {"wrapuptime": 10.0}})
    acd.log_on("1001")
    acd.engine.take_activity()
    return acd


def test_direct_call_takes_the_agent_and_gives_them_back(acd: Acd) -> None:
    acd.part("1001", "tas-1-d-0", "ringing")
    acd.part("1001", "tas-1-d-0", "talking")
    acd.part("1001", "tas-1-d-0", "ended")
    assert acd.history("1001") == ["Ringing", "Talking", "Ready"]
    acd.assert_at_rest()


def test_agent_who_dials_is_talking_and_gets_no_offer(acd: Acd) -> None:
    acd.part("1001", "tas-1-d-0", "dialling")
    acd.call("tas-1-1-0")
    assert (acd.state("1001"), acd.offers()) == ("Talking", [])
    acd.part("1001", "tas-1-d-0", "ended")
    assert acd.offer().call_uid == "tas-1-1-0"


def test_direct_call_of_an_agent_on_a_break_leads_back_to_the_break(acd: Acd) -> None:
    acd.wish("1001", False, "5")
    acd.part("1001", "tas-1-d-0", "talking")
    acd.part("1001", "tas-1-d-0", "ended")
    assert acd.state("1001") == "NotReady 5"
    assert acd.agent("1001").origin == "supervisor"


def test_direct_call_during_wrap_up_leads_back_to_what_is_left_of_it(acd: Acd) -> None:
    acd.call("tas-1-1-0")
    acd.answer(acd.offer())
    acd.end("tas-1-1-0", "1001")
    acd.wait(2.0)
    acd.part("1001", "tas-1-d-0", "talking")
    acd.wait(5.0)
    acd.part("1001", "tas-1-d-0", "ended")
    assert acd.state("1001") == "WrapUp"
    acd.wait(3.1)
    assert acd.state("1001") == "Ready"


def test_direct_call_longer_than_the_wrap_up_leads_to_ready(acd: Acd) -> None:
    acd.call("tas-1-1-0")
    acd.answer(acd.offer())
    acd.end("tas-1-1-0", "1001")
    acd.part("1001", "tas-1-d-0", "talking")
    acd.wait(30.0)
    assert acd.state("1001") == "Talking", "the wrap-up's end does not end the call"
    acd.part("1001", "tas-1-d-0", "ended")
    assert acd.state("1001") == "Ready"


def test_direct_call_that_comes_while_reserved_outlasts_the_offer(acd: Acd) -> None:
    acd.call("tas-1-1-0")
    offer = acd.offer()
    acd.part("1001", "tas-1-d-0", "dialling")
    assert acd.state("1001") == "Talking"
    acd.report(offer, OfferResult.BUSY)
    assert acd.state("1001") == "Talking", "busy with a call of their own: no fault"
    acd.part("1001", "tas-1-d-0", "ended")
    assert acd.offer().call_uid == "tas-1-1-0"


def test_offer_outlasts_a_direct_call_and_its_failure_frees_the_agent(acd: Acd) -> None:
    acd.call("tas-1-1-0")
    offer = acd.offer()
    acd.part("1001", "tas-1-d-0", "talking")
    acd.part("1001", "tas-1-d-0", "ended")
    assert acd.state("1001") == "Reserved"
    acd.report(offer, OfferResult.RINGING)
    assert acd.state("1001") == "Ringing"
    acd.report(offer, OfferResult.NO_ANSWER)
    assert acd.state("1001") == "NotReady RNA"


def test_second_call_that_only_rings_does_not_keep_the_agent_talking(acd: Acd) -> None:
    acd.part("1001", "tas-1-d-0", "talking")
    acd.part("1001", "tas-1-e-0", "ringing")
    acd.part("1001", "tas-1-d-0", "ended")
    assert acd.state("1001") == "Ringing"
    acd.part("1001", "tas-1-e-0", "ended")
    assert acd.state("1001") == "Ready"


def test_wrap_up_is_due_when_a_direct_call_outlasts_the_queue_s(acd: Acd) -> None:
    acd.call("tas-1-1-0")
    acd.answer(acd.offer())
    acd.part("1001", "tas-1-d-0", "talking")
    acd.end("tas-1-1-0", "1001")
    assert acd.state("1001") == "Talking"
    acd.part("1001", "tas-1-d-0", "ended")
    assert acd.state("1001") == "WrapUp"


def test_queue_without_wrap_up_makes_ready_at_once_and_last_in_the_idle_order() -> None:
    acd = Acd({"support": {"wrapuptime": 0.0}})
    acd.log_on("1001", "1002")
    acd.call("tas-1-1-0")
    acd.answer(acd.offer())
    acd.wait(30.0)
    acd.end("tas-1-1-0", "1001")
    assert (acd.state("1001"), acd.agent("1001").idle_since) == ("Ready", acd.now)


def test_ended_call_nobody_knew_changes_nothing(acd: Acd) -> None:
    acd.part("1001", "tas-1-d-0", "ended")
    assert (acd.state("1001"), acd.history("1001")) == ("Ready LOGON", [])


def test_phone_that_goes_during_a_call_logs_the_agent_out_after_it(acd: Acd) -> None:
    acd.call("tas-1-1-0")
    acd.answer(acd.offer())
    acd.unregister("1001")
    assert acd.state("1001") == "Talking"
    acd.end("tas-1-1-0", "1001")
    assert (acd.state("1001"), acd.agent("1001").node) == ("LoggedOut", "")
    assert acd.engine.logons.placement.counts == {"tas-1": 0, "tas-2": 0}
    acd.assert_at_rest()


def test_phone_that_comes_back_during_the_call_keeps_the_agent_logged_on(acd: Acd) -> None:
    acd.call("tas-1-1-0")
    acd.answer(acd.offer())
    acd.unregister("1001")
    acd.log_on("1001")
    acd.end("tas-1-1-0", "1001")
    assert acd.state("1001") == "WrapUp"


def test_phone_that_goes_while_it_rings_logs_the_agent_out_when_the_offer_fails(acd: Acd) -> None:
    acd.call("tas-1-1-0")
    offer = acd.offer()
    acd.report(offer, OfferResult.RINGING)
    acd.unregister("1001")
    acd.report(offer, OfferResult.UNREACHABLE)
    assert acd.history("1001")[-1] == "LoggedOut"
    assert acd.waiting() == ["tas-1-1-0"]
