"""Service level as Asterisk's app_queue defines it: ServicelevelPerf and ServicelevelPerf2."""

from __future__ import annotations

from agentbroker.acd.stats import QueueStats


def counted(answered: list[float], abandoned: list[float], level_s: float = 20.0) -> QueueStats:
    stats = QueueStats(level_s)
    for waited in answered:
        stats.count_answered(waited)
    for waited in abandoned:
        stats.count_abandoned(waited)
    return stats


def test_service_level_is_zero_before_the_first_call() -> None:
    stats = counted([], [])
    assert (stats.level_percent, stats.level2_percent, stats.average_wait_s) == (0.0, 0.0, 0.0)


def test_service_level_counts_answered_calls_only() -> None:
    assert counted([5.0, 10.0, 30.0, 40.0], [1.0, 90.0]).level_percent == 50.0


def test_service_level_2_counts_callers_who_left_within_the_level_as_served() -> None:
    assert counted([5.0, 10.0, 30.0], [1.0, 90.0]).level2_percent == 60.0


def test_service_level_2_holds_when_nobody_was_answered() -> None:
    stats = counted([], [1.0, 90.0])
    assert (stats.level_percent, stats.level2_percent) == (0.0, 50.0)


def test_answer_at_the_level_is_within_it() -> None:
    assert counted([20.0, 20.001], []).in_time == 1


def test_average_wait_is_that_of_answered_calls() -> None:
    assert counted([10.0, 20.0], [500.0]).average_wait_s == 15.0
