"""Load profiles: what cannot work is refused by name; shares; the configs of a load's own lab."""

from __future__ import annotations

import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.profile import MAX_AGENTS, MAX_CALLS, MAX_RATE, Profile, ProfileError, prepare_configs, share_out

CONFIGS = Path(__file__).resolve().parents[3] / "configs" / "lab"
DEFAULT = Profile()


def test_defaults_and_the_bounds_are_accepted() -> None:
    DEFAULT.check()
    Profile(calls=MAX_CALLS, rate=MAX_RATE, agents=MAX_AGENTS, hold_s=0.1).check()
    Profile(calls=1, rate=0.1, agents=1, hold_s=600).check()


@pytest.mark.parametrize(
    ("profile", "named"),
    [
        (replace(DEFAULT, calls=0), "calls: 0: must be from 1"),
        (replace(DEFAULT, calls=MAX_CALLS + 1), "calls"),
        (replace(DEFAULT, rate=0), "rate: 0: must be from 0.1"),
        (replace(DEFAULT, rate=MAX_RATE + 1), "rate"),
        (replace(DEFAULT, rate=float("nan")), "rate"),
        (replace(DEFAULT, agents=0), "agents"),
        (replace(DEFAULT, agents=MAX_AGENTS + 1), "agents"),
        (replace(DEFAULT, hold_s=0), "hold"),
    ],
)
def test_value_out_of_range_is_refused_by_name(profile: Profile, named: str) -> None:
    with pytest.raises(ProfileError, match=named):
        profile.check()


def test_too_few_agents_for_the_rate_are_refused_with_the_number_that_is_enough() -> None:
    with pytest.raises(ProfileError, match=r"agents: 2: 10 calls/s held for 0\.5 s need 7"):
        replace(DEFAULT, agents=2).check()
    replace(DEFAULT, agents=7).check()


def test_fewer_calls_than_busy_agents_need_no_more_agents_than_calls() -> None:
    replace(DEFAULT, calls=3, agents=3).check()


@pytest.mark.parametrize(("total", "parts", "shares"), [(20, 2, [10, 10]), (7, 3, [3, 2, 2]), (1, 2, [1]), (0, 2, [])])
def test_shares_differ_by_one_and_none_is_empty(total: int, parts: int, shares: list[int]) -> None:
    assert share_out(total, parts) == shares


def test_prepared_configs_have_no_wrap_up_and_an_account_for_every_agent(tmp_path: Path) -> None:
    folder = tmp_path / "configs"
    shutil.copytree(CONFIGS, folder)
    numbers = replace(DEFAULT, agents=30).numbers
    prepare_configs(folder, numbers)
    agents = tomllib.loads((folder / "agents.toml").read_text())["agents"]
    assert set(numbers) <= set(agents)
    assert agents["1030"]["password"] == "lab-1030"
    queues = tomllib.loads((folder / "queues.toml").read_text())["queues"]
    assert {queue["wrapuptime"] for queue in queues.values()} == {0}
