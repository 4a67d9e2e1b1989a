"""The verdict of a load run: each thing that may be wrong is named, and nothing else is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from loadtest.profile import Profile
from loadtest.report import Report, Usage, make_report, render
from loadtest.sipp import Counts

CALLS = 4
PROFILE = Profile(calls=CALLS, rate=2, agents=4)
ANSWERED = {"result": "answered", "reason": "caller_hangup"}
ABANDONED = {"result": "abandoned", "reason": "caller_hangup"}
IDLE = Usage(0.0, {"tas-1": 1.0, "tas-2": 1.0, "media-1": 2.0}, {"tas-1": 90.0, "tas-2": 91.0, "media-1": 60.0})
BEFORE = Usage(5.0, {"tas-1": 1.5, "tas-2": 1.5, "media-1": 2.0}, IDLE.rss_mib)
AFTER = Usage(15.0, {"tas-1": 2.6, "tas-2": 2.6, "media-1": 2.04}, IDLE.rss_mib | {"tas-1": 95.0})


def report(**changes: Any) -> Report:
    """A perfect run, but for `changes`."""
    values: dict[str, Any] = {
        "counts": Counts(CALLS, CALLS, 0),
        "setup_ms": [4.0, 8.0, 8.0, 12.0],
        "idle": IDLE,
        "before": BEFORE,
        "after": AFTER,
        "cdrs": [ANSWERED] * CALLS,
        "left": [],
    }
    return make_report(PROFILE, **values | changes)


def test_perfect_run_is_ok() -> None:
    found = report()
    assert found.ok
    assert found.faults == []
    assert render(found).splitlines()[-1].split() == ["verdict", "OK"]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"counts": Counts(3, 3, 0)}, "3 of 4 calls were begun"),
        ({"counts": Counts(4, 3, 1)}, "3 of 4 calls succeeded, 1 failed"),
        ({"cdrs": [ANSWERED] * 3}, "3 CDRs of 4 calls"),
        ({"cdrs": [ANSWERED] * 5}, "5 CDRs of 4 calls"),
        ({"cdrs": [ANSWERED] * 3 + [ABANDONED]}, "1 of 4 calls were not answered by an agent"),
        ({"left": ["tas-1: dialogs = 1"]}, "left afterwards: tas-1: dialogs = 1"),
    ],
)
def test_what_is_wrong_is_said_in_the_verdict(changes: dict[str, Any], fault: str) -> None:
    found = report(**changes)
    assert not found.ok
    assert any(text.startswith(fault) for text in found.faults)
    assert fault in render(found).splitlines()[-1]


def test_cpu_per_call_is_by_role_and_less_what_idle_processes_use() -> None:
    found = report()
    assert found.idle_cpu_ms_per_s == {"tas": pytest.approx(200), "media": 0}
    assert found.cpu_ms_per_call == {"tas": pytest.approx(50), "media": pytest.approx(10)}


def test_cpu_of_a_process_started_again_counts_from_its_start_and_is_never_negative() -> None:
    after = Usage(15.0, AFTER.cpu_s | {"media-1": 0.4, "tas-1": 1.5, "tas-2": 1.5}, AFTER.rss_mib)
    assert report(after=after).cpu_ms_per_call == {"tas": 0, "media": pytest.approx(100)}


def test_percentiles_seconds_memory_and_outcomes_are_reported() -> None:
    found = report(cdrs=[ANSWERED] * 3 + [ABANDONED])
    assert found.setup_ms == {"p50": 8.0, "p95": 12.0, "p99": 12.0, "max": 12.0}
    assert found.seconds == 10.0
    assert found.rss_mib["tas-1"] == (90.0, 95.0)
    assert found.outcomes == {"answered, caller_hangup": 3, "abandoned, caller_hangup": 1}


def test_run_in_which_nothing_happened_has_a_report_too() -> None:
    found = report(counts=Counts(0, 0, 0), setup_ms=[], cdrs=[])
    assert not found.ok
    assert "no call" in render(found)


def test_report_is_json_that_reads_back() -> None:
    found = report()
    assert msgspec.json.decode(msgspec.json.encode(found), type=Report) == found
