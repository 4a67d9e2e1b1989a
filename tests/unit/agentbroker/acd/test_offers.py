"""Offers: every result, leases, answers that come late, retries."""

from __future__ import annotations

import pytest

from common.contracts.calls import OfferResult
from tests.unit.agentbroker.acd.support import Acd


@pytest.fixture
def acd() -> Acd:
    """Two agents, one call offered to the first."""
    acd = Acd({"support": {"timeout": 15.0, "wrapuptime": 10.0, "retry": 1.0}})
    acd.log_on("1001", "1002")
    acd.call("tas-1-1-0")
    return acd


@pytest.mark.parametrize(
    ("result", "state"),
    [
        (OfferResult.NO_ANSWER, "NotReady RNA"),
        (OfferResult.BUSY, "NotReady REJECTED"),
        (OfferResult.DECLINED, "NotReady REJECTED"),
        (OfferResult.UNREACHABLE, "NotReady PHONE_DOWN"),
    ],
)
def test_offer_that_fails_by_the_agent_makes_them_not_ready_and_tries_the_next_at_once(
    acd: Acd, result: OfferResult, state: str
) -> None:
    first = acd.offer()
    acd.report(first, result)
    assert acd.state("1001") == state
    again = acd.offer()
    assert (again.call_uid, again.agent) == (first.call_uid, "1002")
    assert again.offer != first.offer


def test_call_that_nobody_takes_keeps_its_clock_and_goes_before_younger_ones(acd: Acd) -> None:
    acd.wait(10.0)
    acd.call("tas-1-2-0")
    one, two = acd.offers()
    acd.report(one, OfferResult.NO_ANSWER)
    acd.report(two, OfferResult.NO_ANSWER)
    assert acd.offers() == [], "both agents are NotReady"
    acd.wish("1002", True)
    assert acd.offer().call_uid == "tas-1-1-0"
    assert acd.engine.queues["support"].oldest_s(acd.now) == pytest.approx(10.0)


def test_refused_offer_is_nobody_s_fault_and_the_call_rests_for_the_retry(acd: Acd) -> None:
    acd.report(acd.offer(), OfferResult.REFUSED)
    assert acd.state("1001") == "Ready"
    assert acd.offers() == []
    acd.wait(1.0)
    assert acd.offer().agent == "1001"


def test_refusal_without_a_retry_pause_does_not_go_round_for_ever() -> None:
    acd = Acd({"support": {"retry": 0.0}})
    acd.log_on("1001")
    acd.call("tas-1-1-0")
    offers = 0
    until = acd.now + 10.0
    while acd.now < until:
        for offer in acd.offers():
            offers += 1
            acd.report(offer, OfferResult.REFUSED)
        acd.wait(0.01)
    assert 50 <= offers <= 101


def test_call_that_is_gone_before_its_retry_leaves_no_deadline(acd: Acd) -> None:
    acd.report(acd.offer(), OfferResult.REFUSED)
    acd.abandon("tas-1-1-0")
    assert acd.engine.next_timeout() is None


def test_caller_gone_is_offered_to_nobody_even_when_no_more_is_heard(acd: Acd) -> None:
    acd.report(acd.offer(), OfferResult.CALLER_GONE)
    acd.wait(600.0)
    assert acd.commands() == []
    assert acd.engine.next_timeout() is None


@pytest.mark.parametrize(("rang", "state"), [(False, "NotReady PHONE_DOWN"), (True, "NotReady RNA")])
def test_node_that_says_nothing_loses_the_offer_after_ring_time_and_margin(acd: Acd, rang: bool, state: str) -> None:
    offer = acd.offer()
    if rang:
        acd.report(offer, OfferResult.RINGING)
    acd.wait(19.9)
    assert acd.commands() == []
    acd.wait(0.2)
    assert acd.state("1001") == state
    cancel, again = acd.commands()
    assert (cancel[1].offer, again[1].agent) == (offer.offer, "1002")  # type: ignore[union-attr]


def test_reports_of_offers_that_are_over_change_nothing(acd: Acd) -> None:
    stale = acd.offer()
    acd.report(stale, OfferResult.NO_ANSWER)
    acd.wish("1001", True)
    acd.commands()
    before = (acd.state("1001"), acd.state("1002"))
    for result in OfferResult:
        acd.report(stale, result)
    assert (acd.state("1001"), acd.state("1002")) == before
    assert acd.commands() == []


def test_answer_after_the_lease_takes_the_call_from_whom_it_was_offered_to_since(acd: Acd) -> None:
    late = acd.offer()
    acd.wait(20.0)
    assert acd.state("1002") == "Reserved"
    acd.commands()
    acd.answer(late)
    assert (acd.state("1001"), acd.state("1002")) == ("Talking", "Ready")
    assert len(acd.cancelled()) == 1
    assert (acd.waiting(), acd.engine.queues["support"].stats.answered) == ([], 1)
    acd.end("tas-1-1-0", "1001")
    acd.assert_at_rest()


def test_part_in_the_call_before_the_report_of_the_answer_counts_once(acd: Acd) -> None:
    offer = acd.offer()
    acd.part("1001", offer.call_uid, "talking", "support")
    assert acd.state("1001") == "Talking"
    acd.report(offer, OfferResult.ANSWERED)
    assert (acd.agent("1001").calls_taken, acd.engine.queues["support"].stats.answered) == (1, 1)
    assert acd.engine.next_timeout() is None, "no lease is left"


def test_answered_wait_counts_from_the_caller_s_first_moment() -> None:
    acd = Acd()
    acd.log_on("1001")
    acd.call("tas-1-1-0", waited=12.0)
    acd.wait(3.0)
    acd.answer(acd.offer())
    assert acd.engine.queues["support"].stats.average_wait_s == pytest.approx(15.0)


def test_offer_ids_differ_between_leaders(acd: Acd) -> None:
    assert acd.offer().offer == "7.1"
