"""1,000 calls at 10 a second into the queue, 20 agents that answer: all served, all counted, nothing left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.aio.runner import Runner
from loadtest.profile import Profile
from tests.system.support import sipp
from tests.system.support.lab import Lab, copy_configs

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not sipp.installed(), reason="sipp is not installed (make setup installs sip-tester)"),
]

CALLS = 1000
PROFILE = Profile(calls=CALLS, rate=10, agents=20, hold_s=1.0)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    configs = copy_configs(folder / "configs", {"queues.toml": {"wrapuptime = 5": "wrapuptime = 0.2"}})
    lab = Lab(folder / "var", configs=configs)
    lab.start()
    yield lab
    lab.stop()


def test_calls_that_fail_are_found(lab: Lab, tmp_path: Path) -> None:
    """A positive control: the next test's silence counts."""
    report = Runner(lab, Profile(calls=3, number="7999"), tmp_path, print).run()
    assert report.faults[0] == "0 of 3 calls succeeded, 3 failed"
    assert report.faults[1].startswith("3 of 3 calls were not answered by an agent")
    assert report.outcomes == {"rejected, unknown_number": 3}


def test_thousand_calls_are_all_answered_and_leave_nothing(lab: Lab, tmp_path: Path) -> None:
    known = len(lab.cdrs())
    report = Runner(lab, PROFILE, tmp_path, print).run()
    assert report.faults == []
    assert report.outcomes == {"answered, caller_hangup": CALLS}
    cdrs = lab.cdrs()[known:]
    assert set(Counter(cdr["agent"] for cdr in cdrs)) == set(PROFILE.numbers), "every agent was used"
    servers = Counter(cdr["media_server"] for cdr in cdrs)
    assert all(abs(servers[f"media-{number}"] - CALLS // 2) <= 1 for number in (1, 2)), servers
    queues = {queue["queue"]: queue for queue in lab.request(f"{lab.broker_http()}/v1/queues")}
    assert queues["support"]["waiting"] == 0
