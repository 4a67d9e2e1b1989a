"""Every command against recorded answers: JSON, tables, exit codes, and what is said when it goes wrong."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import Result
from typer.testing import CliRunner

from agentbroker.acd.stats import QueueView
from common.contracts.agents import AgentView
from common.contracts.calls import CallView, LadderStep
from common.service.http.aio import Health
from tasctl.main import app
from tasctl.status import LabStatus
from tests.unit.tasctl.support import AGENTS, CALL, LADDER, MEDIA, QUEUES, TOKEN, UID, Recorded, write_lab

NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def api() -> Iterator[Recorded]:
    with Recorded().running() as api:
        yield api


@pytest.fixture(autouse=True)
def var(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A run-time folder of one's own, at first without a lab."""
    monkeypatch.setenv("LAB_VAR", str(tmp_path))
    monkeypatch.delenv("OPENTAS_TOKEN", raising=False)
    return tmp_path


@pytest.fixture
def lab(api: Recorded, var: Path) -> Recorded:
    """A lab of one TAS and one broker, both played by the recorded API."""
    write_lab(var, tas=[api.url], brokers=[api.url])
    return api


def tasctl(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def as_json(result: Result, type_: Any) -> Any:
    return msgspec.json.decode(result.stdout, type=type_)


@pytest.mark.parametrize(
    ("command", "type_", "expected"),
    [
        (["calls"], list[CallView], [CALL]),
        (["call", UID], CallView, CALL),
        (["agents"], list[AgentView], AGENTS),
        (["queues"], list[QueueView], QUEUES),
    ],
)
def test_json_is_what_the_api_said(lab: Recorded, command: list[str], type_: Any, expected: object) -> None:
    result = tasctl(*command, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert as_json(result, type_) == expected


def test_json_of_a_ladder_holds_the_call_and_its_steps(lab: Recorded) -> None:
    found = as_json(tasctl("call", UID, "--ladder", "--json"), dict[str, msgspec.Raw])
    assert msgspec.json.decode(found["call"], type=CallView) == CALL
    assert msgspec.json.decode(found["ladder"], type=list[LadderStep]) == LADDER


def test_json_of_media_says_which_tas_sees_it_so(lab: Recorded) -> None:
    found = as_json(tasctl("media", "--json"), list[dict[str, Any]])
    assert found == [{"seen_by": "tas-1", **msgspec.to_builtins(view)} for view in MEDIA]


def test_json_of_status_names_every_process(lab: Recorded) -> None:
    result = tasctl("status", "--json")
    found = as_json(result, LabStatus)
    assert (result.exit_code, found.ready) == (0, True)
    assert [(process.name, process.ready) for process in found.processes] == [
        ("bus", True),
        ("broker-1", True),
        ("tas-1", True),
    ]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("calls", ["CALL_UID", UID, "talking", "0700123", "8000", "support", "1001", "12.3"]),
        ("agents", ["Åsa 北", "Talking", "support, sales", "in_use"]),
        ("queues", ["WAITING", "support", "leastrecent", "98.0"]),
        ("media", ["SEEN_BY", "tas-1", "media-2", "down"]),
    ],
)
def test_table_shows_what_matters(lab: Recorded, command: str, words: list[str]) -> None:
    result = tasctl(command)
    assert (result.exit_code, result.stderr) == (0, "")
    assert [word for word in words if word not in result.stdout] == []


def test_call_is_shown_with_its_legs(lab: Recorded) -> None:
    lines = tasctl("call", UID).stdout.splitlines()
    assert lines[0].split() == ["call_uid", UID]
    assert [line.split() for line in lines if line.startswith("outcome")] == [["outcome", "-"]]
    assert [line.split()[0] for line in lines[-3:]] == ["LEG_ID", f"{UID}.1", f"{UID}.2"]


def test_ladder_is_drawn(lab: Recorded) -> None:
    drawn = tasctl("call", UID, "--ladder").stdout
    assert "INVITE 8000" in drawn
    assert "INVITE 1001 (again)" in drawn
    assert drawn.rstrip().endswith("state: talking")


@pytest.mark.parametrize("command", ["calls", "agents", "queues", "media"])
def test_empty_list_is_none_for_people_and_a_list_for_programs(lab: Recorded, command: str) -> None:
    lab.answers[f"/v1/{command}"] = (200, [])
    assert tasctl(command).stdout == "none\n"
    assert as_json(tasctl(command, "--json"), list[object]) == []


@pytest.mark.parametrize("command", [["calls"], ["call", UID], ["agents"], ["queues"], ["media"]])
def test_without_a_lab_every_command_says_how_to_start_one(var: Path, command: list[str]) -> None:
    result = tasctl(*command, "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (f"tasctl: no lab runs on {var}/: start one with `make lab`, or give --url and --token\n")


def test_status_without_a_lab_is_2(var: Path) -> None:
    result = tasctl("status")
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"no lab runs on {var}/" in result.stderr


def test_file_of_a_lab_that_was_killed_is_no_lab(api: Recorded, var: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    write_lab(var, tas=[api.url], brokers=[api.url], supervisor=ended.pid)
    assert tasctl("status").exit_code == 2
    assert tasctl("calls").exit_code == 2
    assert api.asked == []


def test_status_with_half_the_lab_up_is_1_and_names_what_waits(lab: Recorded, var: Path) -> None:
    lab.answers["/readyz"] = (503, Health(["bus", "media server"]))
    write_lab(var, tas=[lab.url, NOWHERE], brokers=[lab.url])
    result = tasctl("status")
    assert result.exit_code == 1
    lines = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert "bus, media server" in lines["tas-1"]
    assert "Connection refused" in lines["tas-2"]
    assert as_json(tasctl("status", "--json"), LabStatus).ready is False


def test_draining_process_is_not_ready(lab: Recorded) -> None:
    lab.answers["/readyz"] = (503, Health(draining=True))
    result = tasctl("status", "--url", lab.url)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[1].split()[3:5] == ["no", "yes"]


def test_status_waits_until_all_is_ready(lab: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.answers["/readyz"] = (503, Health(["bus"]))
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            lab.answers["/readyz"] = (200, Health())

    monkeypatch.setattr("tasctl.main.time.sleep", sleep)
    assert tasctl("status", "--wait", "60").exit_code == 0
    assert len(slept) == 3


def test_call_that_nobody_knows_is_1_and_one_that_could_not_be_asked_for_is_2(lab: Recorded, var: Path) -> None:
    assert tasctl("call", "tas-1-0-00").exit_code == 1
    write_lab(var, tas=[NOWHERE, lab.url], brokers=[lab.url])
    result = tasctl("call", "tas-1-0-00")
    assert result.exit_code == 2, "its node could not be asked, so nobody knows that there is none"
    assert "Connection refused" in result.stderr


@pytest.mark.parametrize("uid", ["../agents", "a b", "a?x=1", "åä", "%2e%2e"])
def test_call_uid_is_never_taken_for_a_path(lab: Recorded, uid: str) -> None:
    result = tasctl("call", uid)
    assert result.exit_code == 1
    assert lab.asked == [f"/v1/calls/{uid}"]


def test_node_that_is_away_is_said_beside_the_calls_of_the_others(lab: Recorded, var: Path) -> None:
    write_lab(var, tas=[lab.url, NOWHERE], brokers=[lab.url])
    result = tasctl("calls", "--json")
    assert result.exit_code == 0
    assert as_json(result, list[CallView]) == [CALL]
    assert result.stderr.startswith(f"tasctl: not in this list: {NOWHERE}/v1/calls: ")


def test_standby_broker_is_passed_over(lab: Recorded, var: Path) -> None:
    with Recorded().running() as standby:
        standby.answers["/v1/agents"] = (503, {"error": "this broker stands by; broker-2 leads", "leader": "broker-2"})
        write_lab(var, tas=[lab.url], brokers=[standby.url, lab.url])
        assert as_json(tasctl("agents", "--json"), list[AgentView]) == AGENTS
        write_lab(var, tas=[lab.url], brokers=[standby.url])
        result = tasctl("agents")
    assert result.exit_code == 2
    assert "503 this broker stands by; broker-2 leads" in result.stderr


def test_wrong_token_is_said_as_the_process_says_it(lab: Recorded) -> None:
    result = tasctl("agents", "--url", lab.url, "--token", "wrong")
    assert result.exit_code == 2
    assert result.stderr == f"tasctl: {lab.url}/v1/agents: 401 send Authorization: Bearer <token>\n"


def test_url_of_the_lab_needs_no_token_and_another_one_takes_it_from_the_environment(
    lab: Recorded, var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tasctl("agents", "--url", lab.url + "/").exit_code == 0
    (var / "lab.json").unlink()
    assert tasctl("agents", "--url", lab.url).exit_code == 2
    monkeypatch.setenv("OPENTAS_TOKEN", TOKEN)
    assert tasctl("agents", "--url", lab.url).exit_code == 0


@pytest.mark.parametrize(
    "body", [b"<html>", b"\xff", b'{"error":"odd"}', b'"text"', b"[1]", b"null", b""], ids=range(7)
)
@pytest.mark.parametrize("command", ["calls", "agents", "queues", "media"])
def test_answer_of_something_else_is_2_and_says_so(lab: Recorded, command: str, body: bytes) -> None:
    lab.answers[f"/v1/{command}"] = (200, body)
    result = tasctl(command)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"tasctl: {lab.url}/v1/{command}: ")


def test_call_of_another_version_is_2_and_says_which_field(lab: Recorded) -> None:
    lab.answers[f"/v1/calls/{UID}"] = (200, {"call_uid": UID})
    result = tasctl("call", UID)
    assert result.exit_code == 2
    assert "another version" in result.stderr
    assert "`node`" in result.stderr


@pytest.mark.parametrize("url", ["127.0.0.1:1", "ftp://127.0.0.1", "http://", "http://[::1", "http://127.0.0.1:99999"])
def test_url_that_is_none_is_2_without_a_traceback(url: str) -> None:
    result = tasctl("agents", "--url", url)
    assert result.exit_code == 2
    assert result.stderr.startswith("tasctl: ")


def test_escape_sequences_from_the_network_do_not_reach_the_terminal(lab: Recorded) -> None:
    bad = "\x1b]0;gotcha\x07\x1b[2J\r\n"
    call = msgspec.structs.replace(CALL, caller=bad, outcome=bad)
    lab.answers["/v1/calls"] = (200, [call])
    lab.answers[f"/v1/calls/{UID}"] = (200, call)
    lab.answers[f"/v1/calls/{UID}/ladder"] = (
        200,
        [msgspec.structs.replace(LADDER[0], first_line=f"INVITE sip:{bad}@h SIP/2.0", cseq=bad)],
    )
    for command in (["calls"], ["call", UID], ["call", UID, "--ladder"]):
        shown = tasctl(*command).stdout
        assert shown.replace("\n", "").isprintable(), command
        assert "gotcha" in shown


@pytest.mark.parametrize("arguments", [["call"], ["calls", "--jsn"], ["phones"], ["lab", "--tas", "many"]])
def test_wrong_use_is_2(arguments: list[str]) -> None:
    result = tasctl(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_help_names_every_command() -> None:
    shown = tasctl("--help").stdout
    assert [
        name for name in ("lab", "status", "calls", "call", "trace", "agents", "queues", "media") if name not in shown
    ] == []
