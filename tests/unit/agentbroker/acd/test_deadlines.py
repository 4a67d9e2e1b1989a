"""Named deadlines and what they keep in memory."""

from __future__ import annotations

from agentbroker.acd.deadlines import SLACK, Deadlines


def test_deadlines_come_in_order_and_once() -> None:
    deadlines = Deadlines()
    deadlines.set("wrap", "1002", 7.0)
    deadlines.set("lease", "7.1", 5.0)
    assert deadlines.next() == 5.0
    assert deadlines.take_due(4.9) is None
    assert [deadlines.take_due(9.0) for _ in range(3)] == [("lease", "7.1"), ("wrap", "1002"), None]


def test_deadline_set_again_is_moved() -> None:
    deadlines = Deadlines()
    deadlines.set("wrap", "1001", 5.0)
    deadlines.set("wrap", "1001", 8.0)
    assert (deadlines.take_due(7.9), deadlines.next()) == (None, 8.0)


def test_dropped_deadline_wakes_nobody() -> None:
    deadlines = Deadlines()
    deadlines.set("lease", "7.1", 5.0)
    deadlines.drop("lease", "7.1")
    deadlines.drop("lease", "never set")
    assert (deadlines.next(), deadlines.take_due(9.0), len(deadlines)) == (None, None, 0)


def test_same_name_of_two_kinds_is_two_deadlines() -> None:
    deadlines = Deadlines()
    deadlines.set("lease", "1", 5.0)
    deadlines.set("wrap", "1", 6.0)
    deadlines.drop("lease", "1")
    assert deadlines.take_due(9.0) == ("wrap", "1")


def test_outdated_entries_are_swept_at_the_bound_and_no_live_one_with_them() -> None:
    deadlines = Deadlines()
    deadlines.set("wrap", "1001", 5_000.0)
    for number in range(10_000):
        deadlines.set("lease", str(number), 1_000.0 + number)
        deadlines.drop("lease", str(number))
        assert deadlines.held <= 2 * 2 + SLACK
    assert deadlines.take_due(6_000.0) == ("wrap", "1001")
