"""The engine as a whole: a queue call's life, snapshots, a leader change, node death, limits, cost."""

from __future__ import annotations

import time

import pytest

from agentbroker.acd.queues import SLACK
from common.contracts.calls import OfferResult
from tests.unit.agentbroker.acd.support import Acd

CALLS = 5_000
CPU_PER_CALL_S = 0.0005
"""Five times what the engine should cost, for a machine that is shared."""


def test_waiting_call_meets_the_agent_who_becomes_ready() -> None:
    acd = Acd()
    acd.call("tas-1-1-0")
    assert acd.offers() == []
    acd.log_on("1001")
    offer = acd.offer()
    assert (offer.call_uid, offer.agent, offer.ring_timeout_s) == ("tas-1-1-0", "1001", 15.0)
    assert acd.state("1001") == "Reserved"


def test_queue_call_takes_its_agent_through_all_states_to_ready_again() -> None:
    acd = Acd({"support": {"wrapuptime": 10.0}})
    acd.log_on("1001")
    acd.call("tas-1-1-0")
    acd.answer(acd.offer())
    acd.wait(60.0)
    acd.end("tas-1-1-0", "1001")
    acd.wait(9.9)
    assert acd.state("1001") == "WrapUp"
    acd.wait(0.2)
    assert acd.history("1001") == ["Ready LOGON", "Reserved", "Ringing", "Talking", "WrapUp", "Ready"]
    acd.assert_at_rest()


def test_longest_idle_agent_and_longest_waiting_caller_come_first() -> None:
    acd = Acd()
    acd.log_on("1002", "1001")
    acd.call("tas-1-1-0")
    assert acd.offer().agent == "1002"
    acd.call("tas-1-2-0")
    assert acd.offer().agent == "1001"
    acd.call("tas-1-3-0")
    acd.call("tas-1-4-0", waited=60.0)
    acd.abandon("tas-1-1-0")
    assert acd.offer().call_uid == "tas-1-4-0", "its clock is the older one, though it came later"


def test_weightier_queue_gets_the_shared_agent_first() -> None:
    acd = Acd({"support": {}, "gold": {"weight": 5}}, {"1001": ("support", "gold")})
    acd.call("tas-1-1-0", "support", waited=100.0)
    acd.call("tas-1-2-0", "gold")
    acd.log_on("1001")
    assert acd.offer().call_uid == "tas-1-2-0"


def test_agents_of_both_nodes_take_calls_of_both() -> None:
    acd = Acd()
    acd.log_on("1001", node="tas-1")
    acd.log_on("1002", node="tas-2")
    acd.call("tas-2-1-0", node="tas-2")
    acd.call("tas-1-1-0", node="tas-1")
    assert [(node, command.agent) for node, command in acd.commands()] == [("tas-2", "1001"), ("tas-1", "1002")]


@pytest.mark.parametrize(
    ("options", "reason"), [({"maxlen": 1}, "full"), ({"joinempty": False}, "no agent is logged on")]
)
def test_call_beyond_the_queue_s_rules_is_refused(options: dict[str, object], reason: str) -> None:
    acd = Acd({"support": options})
    if reason == "full":
        acd.call("tas-1-1-0")
    acd.call("tas-1-2-0")
    assert acd.refusals() == [("tas-1-2-0", reason)]
    assert "tas-1-2-0" not in acd.waiting()


def test_call_for_an_unknown_queue_is_refused() -> None:
    acd = Acd()
    acd.call("tas-1-1-0", "nowhere")
    assert acd.refusals() == [("tas-1-1-0", "unknown queue")]


def test_call_told_twice_waits_once_and_is_not_refused_by_a_queue_it_fills() -> None:
    acd = Acd({"support": {"maxlen": 1}})
    acd.call("tas-1-1-0")
    acd.call("tas-1-1-0")
    assert acd.refusals() == []
    assert acd.waiting() == ["tas-1-1-0"]


def test_call_that_enters_another_queue_leaves_the_first() -> None:
    acd = Acd({"support": {}, "sales": {}})
    acd.log_on("1001")
    acd.call("tas-1-1-0", "support")
    acd.offer()
    acd.call("tas-1-1-0", "sales")
    assert (acd.waiting("support"), acd.waiting("sales")) == ([], ["tas-1-1-0"])
    assert acd.state("1001") == "Ready"


def test_abandoned_call_frees_its_agent_who_keeps_the_idle_place() -> None:
    acd = Acd()
    acd.log_on("1001", "1002")
    idle_since = acd.agent("1001").idle_since
    acd.call("tas-1-1-0")
    offer = acd.offer()
    acd.report(offer, OfferResult.RINGING)
    acd.wait(5.0)
    acd.report(offer, OfferResult.CALLER_GONE)
    assert acd.offers() == [], "the caller is gone: nobody else rings"
    acd.abandon("tas-1-1-0")
    assert (acd.state("1001"), acd.agent("1001").idle_since) == ("Ready", idle_since)
    assert acd.engine.queues["support"].stats.abandoned == 1
    acd.call("tas-1-2-0")
    assert acd.offer().agent == "1001"


def test_call_whose_end_is_all_that_is_heard_is_gone_with_its_offer() -> None:
    acd = Acd()
    acd.log_on("1001")
    acd.call("tas-1-1-0")
    acd.offer()
    acd.end("tas-1-1-0", "", "support")
    assert (acd.waiting(), acd.state("1001")) == ([], "Ready")


def test_events_for_strangers_change_nothing() -> None:
    acd = Acd()
    acd.log_on("9999")
    acd.part("9999", "tas-1-1-0", "talking")
    acd.abandon("tas-1-7-0")
    acd.unregister("9999")
    assert acd.commands() == []
    assert acd.engine.take_activity() == []


# Snapshots.


def test_snapshot_ends_calls_offers_and_places_the_node_no_longer_has() -> None:
    acd = Acd(agents={"1001": ("support",), "1002": ("support",), "1003": ("support",)})
    acd.log_on("1001", "1002", "1003")
    acd.call("tas-1-1-0")
    acd.answer(acd.offer())
    acd.call("tas-1-2-0")
    lost = acd.offer()
    acd.call("tas-1-3-0")
    acd.offer()
    acd.call("tas-1-4-0")
    acd.snapshot(phones=("1001", "1002", "1003"), queued=("tas-1-2-0",))
    assert acd.waiting() == ["tas-1-2-0"]
    assert acd.state("1001") == "WrapUp", "its call has ended unheard"
    cancel, again = acd.commands()
    assert (cancel[1].offer, again[1].call_uid) == (lost.offer, "tas-1-2-0")  # type: ignore[union-attr]
    acd.abandon("tas-1-2-0")
    acd.assert_at_rest()


def test_snapshot_that_says_answered_takes_the_call_out_of_the_queue_and_its_agent_rings_no_more() -> None:
    acd = Acd()
    acd.log_on("1001", "1002")
    acd.call("tas-1-1-0")
    acd.offer()
    acd.snapshot(phones=("1001", "1002"), talking=(("1001", "tas-1-1-0"),))
    assert (acd.waiting(), acd.state("1001"), acd.state("1002")) == ([], "Talking", "Ready LOGON")
    assert acd.engine.queues["support"].stats.answered == 1
    acd.end("tas-1-1-0", "1001")
    acd.assert_at_rest()


def test_snapshot_leaves_other_nodes_calls_alone() -> None:
    acd = Acd()
    acd.log_on("1001", "1002")
    acd.call("tas-2-1-0", node="tas-2")
    acd.answer(acd.offer(), node="tas-2")
    acd.call("tas-2-2-0", node="tas-2")
    acd.snapshot("tas-1", phones=("1001", "1002"))
    assert (acd.waiting(), acd.state("1001"), acd.state("1002")) == (["tas-2-2-0"], "Talking", "Reserved")


def test_snapshot_of_a_full_queue_refuses_nobody() -> None:
    acd = Acd({"support": {"maxlen": 1, "joinempty": False}})
    acd.snapshot(queued=("tas-1-1-0", "tas-1-2-0"))
    assert acd.refusals() == []
    assert acd.waiting() == ["tas-1-1-0", "tas-1-2-0"]


def test_phone_with_a_new_contact_in_the_snapshot_keeps_its_agent_s_state() -> None:
    acd = Acd()
    acd.log_on("1001")
    acd.wish("1001", False, "5")
    old = next(iter(acd.agent("1001").devices))
    acd.agent("1001").devices[("tas-1", "sip:old")] = acd.agent("1001").devices.pop(old)
    acd.snapshot(phones=("1001",))
    assert acd.state("1001") == "NotReady 5"
    assert list(acd.agent("1001").devices) == [old]


# A new leader.


def test_new_leader_adopts_the_offer_that_rings_and_offers_nothing_else_to_its_agent() -> None:
    acd = Acd()
    acd.snapshot(phones=("1001",), queued=("tas-1-1-0", "tas-1-2-0"), offers=(("6.44", "tas-1-1-0", "1001"),))
    assert acd.state("1001") == "Ringing"
    assert acd.commands() == [], "no second call for a phone that rings"
    acd.snapshot("tas-2", phones=("1002",))
    assert acd.offer().call_uid == "tas-1-2-0"
    acd.part("1001", "tas-1-1-0", "talking", "support")
    assert (acd.waiting(), acd.state("1001")) == (["tas-1-2-0"], "Talking")


def test_adopted_offer_ends_by_its_report() -> None:
    acd = Acd()
    acd.snapshot(phones=("1001",), queued=("tas-1-1-0",), offers=(("6.44", "tas-1-1-0", "1001"),))
    adopted = acd.engine.agents["1001"].offer
    assert adopted == "6.44"
    acd.log_on("1002")
    acd.wait(15.0 + 5.0)
    assert acd.cancelled() == ["6.44"], "its lease is over too when nothing is heard"
    assert acd.state("1001") == "NotReady RNA"


def test_offer_of_the_last_leader_for_somebody_unknown_is_taken_back() -> None:
    acd = Acd()
    acd.snapshot(queued=("tas-1-1-0",), offers=(("6.44", "tas-1-1-0", "1999"),))
    assert acd.cancelled() == ["6.44"]


def test_agent_whose_call_is_known_before_the_phone_is_talking_from_the_logon_on() -> None:
    acd = Acd()
    acd.call("tas-2-9-0", node="tas-2")
    acd.snapshot("tas-1", talking=(("1001", "tas-1-1-0"),))
    assert acd.state("1001") == "LoggedOut"
    acd.snapshot("tas-2", phones=("1001",), queued=("tas-2-9-0",))
    assert acd.state("1001") == "Talking"
    assert acd.offers() == []
    acd.end("tas-1-1-0", "1001")
    assert acd.history("1001") == ["Ready LOGON", "Talking", "WrapUp"]


def test_held_engine_matches_nobody_until_it_is_released() -> None:
    acd = Acd()
    acd.log_on("1002")
    acd.engine.matching.hold()
    acd.call("tas-1-1-0")
    acd.call("tas-1-2-0", waited=30.0)
    acd.log_on("1001")
    acd.wait(1.0)
    assert acd.commands() == []
    acd.engine.matching.release(acd.now)
    assert [(offer.call_uid, offer.agent) for offer in acd.offers()] == [("tas-1-2-0", "1002"), ("tas-1-1-0", "1001")]


# Death of a node.


def test_dead_node_s_calls_are_gone_and_agents_of_others_are_free() -> None:
    acd = Acd()
    acd.log_on("1001", "1002", node="tas-2")
    acd.call("tas-1-1-0")
    acd.answer(acd.offer())
    acd.call("tas-1-2-0")
    acd.offer()
    acd.call("tas-1-3-0")
    acd.engine.node_lost("tas-1", acd.now)
    assert acd.waiting() == []
    assert acd.state("1001") == "WrapUp"
    assert acd.state("1002").startswith("Ready")
    assert acd.offers() == []


# Limits and cost.


def test_memory_stays_bounded_over_many_calls_of_few_agents_and_each_costs_little() -> None:
    """The queue nobody calls is the trap: its agents become ready at each call of the other."""
    agents = {str(number): ("support", "silent") for number in range(1001, 1011)}
    acd = Acd({"support": {"wrapuptime": 3600.0}, "silent": {}, "closed": {}}, agents)
    acd.log_on(*agents)
    started = time.process_time()
    for number in range(CALLS):
        uid = f"tas-1-{number:x}-0"
        acd.now += 0.01
        acd.engine.handle_timeout(acd.now)
        acd.call(uid)
        offer = acd.offer()
        acd.answer(offer)
        acd.end(uid, offer.agent)
        acd.wish(offer.agent, True)  # ends the hour of WrapUp early
        if number % 100 == 0:
            acd.call(f"tas-1-{number:x}-c", "closed")
            acd.abandon(f"tas-1-{number:x}-c", "closed")
            acd.engine.take_activity()
    spent = time.process_time() - started
    held = acd.engine.held()
    assert held["heaps"] <= 3 * 2 * (len(agents) + SLACK)
    assert held["deadlines"] <= 2 * len(agents) + 64
    assert (held["waiting"], held["offers"]) == (0, 0)
    assert acd.engine.queues["support"].stats.answered == CALLS
    assert spent / CALLS < CPU_PER_CALL_S


def test_abandoned_calls_of_a_queue_without_agents_leave_nothing() -> None:
    acd = Acd()
    for number in range(1000):
        acd.call(f"tas-1-{number:x}-0")
        acd.abandon(f"tas-1-{number:x}-0")
    assert acd.engine.held()["heaps"] <= SLACK + 2
