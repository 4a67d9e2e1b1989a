"""Logons, placement on nodes, and what a node's death does to agents."""

from __future__ import annotations

import pytest

from common.contracts.agents import AgentState, Origin
from common.contracts.calls import OfferResult, PhoneRegistered
from tests.unit.agentbroker.acd.support import Acd, phone

Remembered = tuple[AgentState | None, str, Origin]
THREE_HUNDRED = {str(1000 + number): ("support",) for number in range(300)}


def spread(acd: Acd) -> list[int]:
    return sorted(acd.engine.logons.placement.counts.values())


@pytest.mark.parametrize(("ready", "state"), [(True, "Ready LOGON"), (False, "NotReady LOGON")])
def test_phone_that_registers_logs_its_agent_on_as_configured(ready: bool, state: str) -> None:
    acd = Acd(ready=ready)
    acd.log_on("1001")
    assert (acd.state("1001"), acd.agent("1001").node) == (state, "tas-1")


def test_second_phone_changes_nothing_and_the_last_one_that_goes_logs_off() -> None:
    acd = Acd()
    acd.log_on("1001", node="tas-1")
    acd.wish("1001", False, "5")
    acd.log_on("1001", node="tas-2")
    acd.unregister("1001", "tas-1")
    assert (acd.state("1001"), acd.agent("1001").edge()) == ("NotReady 5", "tas-2")
    acd.unregister("1001", "tas-2")
    assert (acd.state("1001"), spread(acd)) == ("LoggedOut", [0, 0])
    acd.assert_at_rest()


def test_phone_that_registers_again_is_the_newest() -> None:
    acd = Acd()
    acd.log_on("1001", node="tas-1")
    acd.log_on("1001", node="tas-2")
    acd.log_on("1001", node="tas-1")
    assert acd.agent("1001").edge() == "tas-1"


def test_unknown_phone_that_goes_leaves_the_agent_logged_on() -> None:
    acd = Acd()
    acd.log_on("1001", node="tas-1")
    acd.unregister("1001", "tas-2")
    assert acd.state("1001") == "Ready LOGON"


def test_new_leader_goes_on_with_what_agents_were() -> None:
    acd = Acd()
    states: dict[str, Remembered] = {
        "1001": (AgentState.NOT_READY, "5", "agent"),
        "1002": (AgentState.NOT_READY, "FAILOVER", "system"),
    }
    acd.engine.logons.remember(states)
    acd.log_on("1001", "1002")
    assert (acd.state("1001"), acd.agent("1001").origin) == ("NotReady 5", "agent")
    assert acd.state("1002") == "Ready LOGON", "a move that the last leader began is over with the logon"


def test_remembered_ready_outranks_not_ready_at_logon_once() -> None:
    acd = Acd(ready=False)
    acd.engine.logons.remember({"1001": (AgentState.READY, "", "system")})
    acd.log_on("1001")
    assert acd.state("1001") == "Ready LOGON"
    acd.unregister("1001")
    acd.log_on("1001")
    assert acd.state("1001") == "NotReady LOGON", "a fresh logon"


# 300 agents.


def test_300_logons_spread_evenly_over_three_nodes_wherever_the_phones_are() -> None:
    acd = Acd(agents=THREE_HUNDRED, nodes=("tas-1", "tas-2", "tas-3"))
    acd.log_on(*THREE_HUNDRED, node="tas-2")
    assert spread(acd) == [100, 100, 100]


def test_agents_of_a_dead_node_spread_evenly_over_the_others() -> None:
    acd = Acd(agents=THREE_HUNDRED, nodes=("tas-1", "tas-2", "tas-3"))
    acd.log_on(*THREE_HUNDRED)
    before = {number: acd.agent(number).node for number in THREE_HUNDRED}
    acd.engine.set_nodes({"tas-1", "tas-2"}, acd.now)
    acd.engine.node_lost("tas-3", acd.now)
    assert spread(acd) == [150, 150]
    moved = [number for number in THREE_HUNDRED if acd.agent(number).node != before[number]]
    assert {before[number] for number in moved} == {"tas-3"}, "nobody else moves"


def test_node_that_comes_back_fills_up_through_new_logons_only() -> None:
    acd = Acd(agents=THREE_HUNDRED, nodes=("tas-1",))
    early, late = list(THREE_HUNDRED)[:100], list(THREE_HUNDRED)[100:]
    acd.log_on(*early)
    acd.engine.set_nodes({"tas-1", "tas-2"}, acd.now)
    assert acd.engine.logons.placement.counts == {"tas-1": 100, "tas-2": 0}
    acd.log_on(*late[:100])
    assert acd.engine.logons.placement.counts == {"tas-1": 100, "tas-2": 100}
    acd.log_on(*late[100:])
    assert spread(acd) == [150, 150]


# A node dies.


def test_agent_whose_phone_was_at_the_dead_node_waits_for_it_and_goes_on_as_before() -> None:
    acd = Acd()
    acd.log_on("1001", "1002", node="tas-1", transport="tcp")
    acd.wish("1002", False, "5")
    acd.engine.set_nodes({"tas-2"}, acd.now)
    acd.engine.node_lost("tas-1", acd.now)
    assert [acd.state(number) for number in ("1001", "1002")] == ["NotReady FAILOVER"] * 2
    assert acd.agent("1001").devices == {}, "its connection ended with the node"
    acd.log_on("1001", "1002", node="tas-2")
    assert [acd.state(number) for number in ("1001", "1002")] == ["Ready LOGON", "NotReady 5"]


def test_agent_served_by_the_dead_node_whose_phone_is_elsewhere_goes_on_at_once() -> None:
    acd = Acd()
    acd.log_on("1001", node="tas-2")
    acd.log_on("1002", node="tas-2")
    served = next(number for number in ("1001", "1002") if acd.agent(number).node == "tas-1")
    acd.engine.take_activity()
    acd.engine.set_nodes({"tas-2"}, acd.now)
    acd.engine.node_lost("tas-1", acd.now)
    assert acd.history(served) == ["NotReady FAILOVER", "Ready LOGON"]
    assert acd.agent(served).node == "tas-2"


def test_busy_agent_of_the_dead_node_is_moved_after_the_call() -> None:
    acd = Acd()
    acd.log_on("1001", node="tas-1")
    acd.call("tas-2-1-0", node="tas-2")
    acd.answer(acd.offer(), node="tas-2")
    acd.engine.set_nodes({"tas-2"}, acd.now)
    acd.engine.node_lost("tas-1", acd.now)
    assert acd.state("1001") == "Talking"
    acd.end("tas-2-1-0", "1001", node="tas-2")
    acd.wait(60.0)
    assert acd.state("1001") == "NotReady FAILOVER"


def test_busy_agent_whose_phone_is_back_before_the_call_ends_is_not_moved_again() -> None:
    acd = Acd()
    acd.log_on("1001", node="tas-1")
    acd.call("tas-2-1-0", node="tas-2")
    acd.answer(acd.offer(), node="tas-2")
    acd.engine.set_nodes({"tas-2"}, acd.now)
    acd.engine.node_lost("tas-1", acd.now)
    acd.log_on("1001", node="tas-2")
    acd.end("tas-2-1-0", "1001", node="tas-2")
    acd.assert_at_rest()
    assert acd.state("1001") == "Ready"


def test_agents_without_any_node_wait_with_no_capacity_and_come_back_by_themselves() -> None:
    acd = Acd(nodes=("tas-1",))
    acd.log_on("1001", node="tas-2")
    acd.wish("1001", False, "5")
    acd.engine.set_nodes(set(), acd.now)
    acd.engine.node_lost("tas-1", acd.now)
    assert (acd.state("1001"), acd.agent("1001").node) == ("NotReady NO_CAPACITY", "")
    acd.engine.set_nodes({"tas-2"}, acd.now)
    assert (acd.state("1001"), acd.agent("1001").node) == ("NotReady 5", "tas-2")


def test_logon_without_a_node_is_placed_when_one_serves() -> None:
    acd = Acd(nodes=())
    acd.log_on("1001")
    assert acd.agent("1001").node == ""
    acd.engine.set_nodes({"tas-1"}, acd.now)
    assert (acd.state("1001"), acd.agent("1001").node) == ("Ready LOGON", "tas-1")


def test_agent_who_was_offered_a_dead_node_s_call_is_free_again_at_another() -> None:
    acd = Acd()
    acd.log_on("1001", node="tas-2")
    acd.call("tas-1-1-0", node="tas-1")
    offer = acd.offer()
    acd.engine.node_lost("tas-1", acd.now)
    acd.report(offer, OfferResult.ANSWERED)
    assert acd.state("1001").startswith("Ready")


def test_snapshot_without_a_phone_logs_its_agent_off() -> None:
    acd = Acd()
    acd.log_on("1001", "1002")
    acd.snapshot(phones=("1002",))
    assert (acd.state("1001"), acd.state("1002")) == ("LoggedOut", "Ready LOGON")


def test_snapshot_keeps_the_newest_phone_the_newest() -> None:
    acd = Acd()
    acd.log_on("1001", node="tas-1")
    acd.engine.receive_event("tas-2", PhoneRegistered(phone("1001", "tas-2")), acd.now)
    acd.snapshot("tas-1", phones=("1001",))
    assert acd.agent("1001").edge() == "tas-2"
