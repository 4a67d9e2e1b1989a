"""Which TAS serves whom: even, and nobody moves without need."""

from __future__ import annotations

from agentbroker.placement import Placement

THREE = {"tas-1", "tas-2", "tas-3"}


def placed(nodes: set[str], agents: int, edge: str = "") -> Placement:
    placement = Placement()
    placement.set_nodes(nodes)
    for number in range(agents):
        placement.place(str(1000 + number), edge)
    return placement


def test_300_agents_on_three_nodes_are_100_each() -> None:
    assert placed(THREE, 300).counts == {"tas-1": 100, "tas-2": 100, "tas-3": 100}


def test_300_agents_whose_phones_are_all_at_one_node_are_100_each_too() -> None:
    assert placed(THREE, 300, edge="tas-3").counts == {"tas-1": 100, "tas-2": 100, "tas-3": 100}


def test_counts_differ_by_one_at_most_at_every_moment() -> None:
    placement = placed(THREE, 0)
    for number in range(31):
        placement.place(str(number), "tas-2")
        assert max(placement.counts.values()) - min(placement.counts.values()) <= 1


def test_agent_is_served_where_the_phone_is_when_that_keeps_things_even() -> None:
    placement = placed(THREE, 0)
    assert placement.place("1001", "tas-3") == "tas-3"
    assert placement.place("1002", "tas-3") == "tas-1"


def test_edge_that_does_not_serve_is_passed_over() -> None:
    assert placed({"tas-1"}, 0).place("1001", "tas-9") == "tas-1"


def test_agent_placed_again_counts_once() -> None:
    placement = placed({"tas-1", "tas-2"}, 0)
    for _ in range(5):
        placement.place("1001", "tas-1")
    assert placement.counts == {"tas-1": 1, "tas-2": 0}


def test_removed_agent_leaves_room() -> None:
    placement = placed(THREE, 300)
    for number in range(0, 300, 3):
        placement.remove(str(1000 + number))
    placement.remove("1000")
    placement.remove("nobody")
    assert placement.counts == {"tas-1": 0, "tas-2": 100, "tas-3": 100}
    assert placement.place("2000", "tas-2") == "tas-1"


def test_without_nodes_nobody_is_placed() -> None:
    placement = placed(set(), 0)
    assert placement.place("1001", "tas-1") == ""
    assert placement.take_changes() == {}


def test_draining_node_keeps_its_agents_and_gets_no_more() -> None:
    placement = placed({"tas-1", "tas-2"}, 10)
    placement.set_nodes({"tas-2"})
    assert placement.place("2000", "tas-1") == "tas-2"
    placement.set_nodes({"tas-1", "tas-2"})
    assert placement.counts == {"tas-1": 5, "tas-2": 6}


def test_agent_of_a_node_that_serves_no_more_can_be_removed() -> None:
    placement = placed({"tas-1"}, 1)
    placement.set_nodes({"tas-2"})
    placement.remove("1000")
    placement.set_nodes({"tas-1", "tas-2"})
    assert placement.counts == {"tas-1": 0, "tas-2": 0}


def test_changes_are_told_once_the_last_of_each_agent() -> None:
    placement = placed({"tas-1", "tas-2"}, 2)
    placement.place("1000", "tas-2")
    assert placement.take_changes() == {"1000": "tas-1", "1001": "tas-2"}
    assert placement.take_changes() == {}
