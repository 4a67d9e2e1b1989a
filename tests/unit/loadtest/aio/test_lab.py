"""The view of a lab without a lab: what it is found by, what it says when there is none."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from loadtest.aio.lab import LabError, RunningLab, copy_configs, free_port, wait_for


def lab_json(var: Path) -> Path:
    """A var folder as `make lab` with LAB_PORT_BASE=6060 leaves it."""
    roles = [("bus", "bus"), ("broker-1", "broker"), ("media-1", "media"), ("tas-1", "tas"), ("tas-2", "tas")]
    processes = [{"name": name, "role": role, "pid": pid} for pid, (name, role) in enumerate(roles, 100)]
    description = {"token": "secret", "processes": processes, "trunks": ["127.0.0.1:6060", "127.0.0.1:6070"]}
    (var / "lab.json").write_text(json.dumps(description))
    return var


def test_running_lab_is_found_by_its_file(tmp_path: Path) -> None:
    lab = RunningLab(lab_json(tmp_path))
    assert lab.names("tas") == ["tas-1", "tas-2"]
    assert lab.pids["media-1"] == 102
    assert lab.token == "secret"
    assert lab.sip(2) == ("127.0.0.1", 6070)
    assert lab.pbx_port() == 6080
    assert lab.node_http(1) == "http://127.0.0.1:10101"
    assert lab.media_http(1) == "http://127.0.0.1:10301"
    assert lab.broker_http() == "http://127.0.0.1:9080"


@pytest.mark.parametrize("text", [None, "", "{}", '{"trunks": []}', '{"trunks": ["x"]}'])
def test_no_lab_on_a_folder_is_said_with_what_to_do(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "lab.json").write_text(text)
    with pytest.raises(LabError, match=r"no lab runs on .*: start one with `make lab`"):
        RunningLab(tmp_path)


def test_wait_gives_the_value_that_was_waited_for() -> None:
    values = itertools.chain([None], itertools.repeat("ready"))
    assert wait_for(lambda: next(values), timeout_s=5, what="ready") == "ready"


def test_wait_that_is_over_names_what_was_waited_for() -> None:
    with pytest.raises(LabError, match=r"not within 0 s: the moon"):
        wait_for(lambda: False, timeout_s=0, what="the moon")


def test_copied_configs_have_the_changes(tmp_path: Path) -> None:
    folder = copy_configs(tmp_path / "configs", {"queues.toml": {"timeout = 15": "timeout = 3"}})
    assert "timeout = 3" in (folder / "queues.toml").read_text()


def test_change_of_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"queues\.toml has no 'nothing like it'"):
        copy_configs(tmp_path / "configs", {"queues.toml": {"nothing like it": "x"}})


def test_free_ports_can_be_bound() -> None:
    assert 1024 < free_port() < 65535
