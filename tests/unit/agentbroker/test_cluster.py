"""TAS nodes by their heartbeats, on the observer's clock, and by the sequence of their events."""

from __future__ import annotations

import msgspec
import pytest

from agentbroker.cluster import Cluster
from common.contracts.envelopes import Envelope, Presence


def presence(state: str = "up", *, inc: str = "a", node: str = "tas-1") -> Presence:
    return Presence(node, "tas", inc, state)


def envelope(seq: int, *, inc: str = "a", node: str = "tas-1") -> Envelope:
    return Envelope(node, inc, seq, msgspec.Raw(b"{}"))


@pytest.fixture
def cluster() -> Cluster:
    """One node, heard at 10.0, whose snapshot has come."""
    cluster = Cluster()
    cluster.receive_presence(presence(), 10.0)
    cluster.nodes["tas-1"].needs_snapshot = False
    return cluster


def state_at(cluster: Cluster, now: float) -> str:
    """The node's state after all deadlines until `now` were looked at in time."""
    while (due := cluster.next_timeout()) is not None and due <= now:
        cluster.handle_timeout(due)
    return cluster.nodes["tas-1"].state


def test_silent_node_is_suspect_after_1_5_s_and_dead_after_2(cluster: Cluster) -> None:
    assert cluster.next_timeout() == 11.5
    assert state_at(cluster, 11.49) == "up"
    assert state_at(cluster, 11.5) == "suspect"
    assert cluster.next_timeout() == 12.0
    assert state_at(cluster, 11.99) == "suspect"
    assert state_at(cluster, 12.0) == "down"
    assert (cluster.take_lost(), cluster.take_lost()) == (["tas-1"], [])
    assert cluster.next_timeout() is None


def test_heartbeat_starts_the_silence_anew(cluster: Cluster) -> None:
    state_at(cluster, 11.9)
    cluster.receive_presence(presence(), 11.9)
    assert state_at(cluster, 13.3) == "up"
    assert cluster.take_lost() == []


def test_observer_who_was_paused_does_not_take_its_own_sleep_for_the_nodes_silence(cluster: Cluster) -> None:
    cluster.handle_timeout(500.0)
    assert cluster.nodes["tas-1"].state == "up"
    assert state_at(cluster, 502.0) == "down"
    assert cluster.take_lost() == ["tas-1"]


def test_suspect_node_serves_on_and_a_dead_one_does_not(cluster: Cluster) -> None:
    state_at(cluster, 11.5)
    assert cluster.serving() == {"tas-1"}
    state_at(cluster, 12.0)
    assert cluster.serving() == set()


def test_draining_node_serves_nobody_silent_or_not(cluster: Cluster) -> None:
    cluster.receive_presence(presence("draining"), 10.5)
    assert cluster.serving() == set()
    assert state_at(cluster, 12.0) == "suspect"
    assert cluster.serving() == set(), "silence does not make it serve again"
    cluster.receive_presence(presence("up"), 12.1)
    assert cluster.serving() == {"tas-1"}


def test_last_will_ends_its_own_incarnation_only(cluster: Cluster) -> None:
    cluster.receive_presence(presence("gone", inc="older"), 10.1)
    assert cluster.nodes["tas-1"].state == "up"
    cluster.receive_presence(presence("gone", inc="a"), 10.2)
    cluster.receive_presence(presence("gone", inc="a"), 10.3)
    assert cluster.take_lost() == ["tas-1"], "told once"


def test_will_of_a_node_never_heard_of_makes_no_node() -> None:
    cluster = Cluster()
    cluster.receive_presence(presence("gone"), 1.0)
    assert cluster.nodes == {}


def test_new_incarnation_is_the_death_of_the_old_one_and_owes_a_snapshot(cluster: Cluster) -> None:
    cluster.sequence(envelope(5))
    cluster.receive_presence(presence(inc="b"), 10.5)
    assert cluster.take_lost() == ["tas-1"]
    node = cluster.nodes["tas-1"]
    assert (node.state, node.needs_snapshot, node.last_seq) == ("up", True, 0)


def test_restart_after_the_death_was_seen_is_no_second_death(cluster: Cluster) -> None:
    state_at(cluster, 12.0)
    cluster.take_lost()
    cluster.receive_presence(presence(inc="b"), 13.0)
    assert (cluster.take_lost(), cluster.nodes["tas-1"].state) == ([], "up")


def test_node_that_was_dead_and_is_heard_again_owes_a_snapshot(cluster: Cluster) -> None:
    state_at(cluster, 12.0)
    cluster.receive_presence(presence(), 13.0)
    assert (cluster.nodes["tas-1"].state, cluster.complete) == ("up", False)


def test_events_in_order_ask_for_nothing_and_a_gap_for_a_snapshot(cluster: Cluster) -> None:
    for seq in (1, 2, 3):
        cluster.sequence(envelope(seq))
    assert cluster.complete
    cluster.sequence(envelope(5))
    assert not cluster.complete
    assert cluster.nodes["tas-1"].last_seq == 5


def test_first_event_heard_may_have_any_number(cluster: Cluster) -> None:
    cluster.sequence(envelope(77))
    assert cluster.complete


@pytest.mark.parametrize("stranger", [envelope(1, node="tas-9"), envelope(1, inc="older")])
def test_events_of_strangers_and_former_lives_are_not_taken(cluster: Cluster, stranger: Envelope) -> None:
    assert cluster.sequence(stranger) is None
    assert cluster.nodes["tas-1"].last_seq == 0


def test_cluster_is_complete_without_the_dead(cluster: Cluster) -> None:
    cluster.receive_presence(presence(node="tas-2"), 11.0)
    assert not cluster.complete
    state_at(cluster, 13.0)
    assert cluster.complete
