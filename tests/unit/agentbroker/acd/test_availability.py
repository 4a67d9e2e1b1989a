"""What people ask for, before, during and after calls."""

from __future__ import annotations

import pytest

from common.contracts.calls import OfferResult
from tests.unit.agentbroker.acd.support import Acd


@pytest.fixture
def acd() -> Acd:
    acd = Acd({"support": {"wrapuptime": 10.0}})
    acd.log_on("1001")
    return acd


def in_call(acd: Acd, uid: str = "tas-1-1-0") -> None:
    acd.call(uid)
    acd.answer(acd.offer())


def test_not_ready_takes_the_agent_out_and_ready_back_in(acd: Acd) -> None:
    acd.wish("1001", False, "12")
    acd.call("tas-1-1-0")
    assert (acd.state("1001"), acd.offers()) == ("NotReady 12", [])
    acd.wish("1001", True)
    assert acd.offer().agent == "1001"


def test_ready_agent_who_asks_for_ready_keeps_the_idle_place(acd: Acd) -> None:
    idle_since = acd.agent("1001").idle_since
    acd.wait(5.0)
    acd.wish("1001", True)
    assert acd.agent("1001").idle_since == idle_since


def test_wish_during_a_call_is_due_after_the_wrap_up(acd: Acd) -> None:
    in_call(acd)
    acd.wish("1001", False, "3")
    assert acd.state("1001") == "Talking"
    acd.end("tas-1-1-0", "1001")
    assert acd.state("1001") == "WrapUp"
    acd.wait(10.0)
    assert acd.state("1001") == "NotReady 3"


def test_last_wish_of_several_counts(acd: Acd) -> None:
    in_call(acd)
    acd.wish("1001", False, "3")
    acd.wish("1001", True)
    acd.end("tas-1-1-0", "1001")
    acd.wait(10.0)
    assert acd.state("1001") == "Ready"


def test_wish_in_wrap_up_replaces_the_one_of_the_call(acd: Acd) -> None:
    in_call(acd)
    acd.wish("1001", False, "3")
    acd.end("tas-1-1-0", "1001")
    acd.wish("1001", True)
    assert acd.state("1001") == "Ready", "the wrap-up is ended early"
    in_call(acd, "tas-1-2-0")
    acd.end("tas-1-2-0", "1001")
    acd.wait(10.0)
    assert acd.state("1001") == "Ready", "an old wish does not come back after the next call"


def test_not_ready_asked_for_while_reserved_holds_when_the_caller_leaves(acd: Acd) -> None:
    acd.call("tas-1-1-0")
    acd.wish("1001", False, "4")
    acd.abandon("tas-1-1-0")
    assert acd.state("1001") == "NotReady 4"


def test_ready_asked_for_before_the_phone_was_left_ringing_does_not_undo_rna(acd: Acd) -> None:
    acd.call("tas-1-1-0")
    acd.wish("1001", True)
    acd.report(acd.offer(), OfferResult.NO_ANSWER)
    assert acd.state("1001") == "NotReady RNA"


def test_reason_asked_for_while_ringing_stands_for_rna(acd: Acd) -> None:
    acd.call("tas-1-1-0")
    acd.wish("1001", False, "9")
    acd.report(acd.offer(), OfferResult.NO_ANSWER)
    assert acd.state("1001") == "NotReady 9"


def test_wrap_up_of_an_earlier_call_does_not_end_that_of_the_next(acd: Acd) -> None:
    in_call(acd)
    acd.end("tas-1-1-0", "1001")
    acd.wait(8.0)
    acd.wish("1001", True)
    in_call(acd, "tas-1-2-0")
    acd.end("tas-1-2-0", "1001")
    acd.wait(9.9)
    assert acd.state("1001") == "WrapUp"
    acd.wait(0.2)
    assert acd.state("1001") == "Ready"


def test_logged_out_agent_cannot_be_made_ready(acd: Acd) -> None:
    acd.unregister("1001")
    acd.wish("1001", True)
    assert acd.state("1001") == "LoggedOut"


def test_activity_rows_say_what_was_then_not_what_is_now(acd: Acd) -> None:
    acd.call("tas-1-1-0")
    acd.answer(acd.offer())
    acd.end("tas-1-1-0", "1001")
    rows = [(row.state, row.call_uid) for row in acd.engine.take_activity()]
    assert rows == [
        ("Ready", ""), ("Reserved", ""), ("Ringing", ""), ("Talking", "tas-1-1-0"), ("WrapUp", ""),
    ]  # fmt: skip
    assert acd.engine.take_activity() == []
