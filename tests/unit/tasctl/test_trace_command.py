"""`tasctl trace` and `tasctl call --messages --pcap` against recorded answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import Result
from typer.testing import CliRunner

from common.contracts.trace import TraceLine, TraceLost, TraceMessage
from tasctl import pcap
from tasctl.main import app
from tests.unit.tasctl.support import CALL, UID, Recorded, write_lab
from tests.unit.tasctl.test_trace import MESSAGE, OK, stream

NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    """A lab of one TAS that has two messages and then ends, and of one that is away."""
    monkeypatch.setenv("LAB_VAR", str(tmp_path))
    monkeypatch.delenv("OPENTAS_TOKEN", raising=False)
    with Recorded().running() as api:
        api.answers["/v1/trace"] = (200, stream(MESSAGE, TraceLost("tas-1", 3), OK))
        api.answers[f"/v1/calls/{UID}/messages"] = (200, [MESSAGE, OK])
        write_lab(tmp_path, tas=[api.url, NOWHERE], brokers=[])
        yield api


def tasctl(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_lines_of_all_nodes_are_printed_and_those_that_are_away_named(lab: Recorded) -> None:
    result = tasctl("trace")
    assert result.exit_code == 2, "every stream ended by itself"
    lines = result.stdout.splitlines()
    assert "INVITE sip:8000@127.0.0.1 SIP/2.0" in lines[0]
    assert lines[1].startswith("-- tas-1: 3 messages lost")
    assert lines[2].endswith("SIP/2.0 200 OK (INVITE)  call-1@h")
    assert "tracing tas-1, tas-2\n" in result.stderr
    assert f"tasctl: {NOWHERE}/v1/trace: " in result.stderr


def test_json_is_one_object_a_line(lab: Recorded) -> None:
    result = tasctl("trace", "--json", "--node", "tas-1", "--count", "2")
    assert result.exit_code == 0
    decoded = [msgspec.json.decode(line, type=TraceLine) for line in result.stdout.splitlines()]
    assert decoded == [MESSAGE, TraceLost("tas-1", 3), OK]


def test_filters_full_messages_and_capture_file(lab: Recorded, tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    filters = ["--number", "8000", "--call", UID, "--method", "INVITE"]
    result = tasctl("trace", "--node", "tas-1", "--full", "--count", "1", "--pcap", str(path), *filters)
    assert result.exit_code == 0
    assert "\nCSeq: 1 INVITE\n\nv=0\n" in result.stdout
    assert path.read_bytes() == pcap.file_header() + pcap.record(MESSAGE)
    assert lab.queries == [f"number=8000&call={UID}&method=INVITE"]


def test_node_that_is_none_of_the_lab_is_refused_with_those_that_are(lab: Recorded) -> None:
    result = tasctl("trace", "--node", "tas-9")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no TAS tas-9; there is: tas-1, tas-2" in result.stderr


@pytest.mark.parametrize("command", [["trace", "--count", "1"], ["call", UID]])
def test_capture_file_that_cannot_be_written_is_said(lab: Recorded, command: list[str], tmp_path: Path) -> None:
    result = tasctl(*command, "--pcap", str(tmp_path / "nowhere" / "a.pcap"))
    assert result.exit_code == 2
    assert "tasctl: --pcap: " in result.stderr


def test_interrupt_ends_it_well(lab: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tasctl.trace.LabTrace.lines", interrupted)
    assert tasctl("trace").exit_code == 0


def test_call_prints_its_messages_and_writes_them(lab: Recorded, tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    result = tasctl("call", UID, "--messages", "--pcap", str(path))
    assert result.exit_code == 0
    assert "\nCSeq: 1 INVITE\n\nv=0\n" in result.stdout
    assert "SIP/2.0 200 OK (INVITE)" in result.stdout
    assert path.read_bytes() == pcap.file_header() + pcap.record(MESSAGE) + pcap.record(OK)


def test_call_with_only_a_capture_file_is_shown_as_ever(lab: Recorded, tmp_path: Path) -> None:
    shown = tasctl("call", UID, "--pcap", str(tmp_path / "a.pcap")).stdout
    assert shown == tasctl("call", UID).stdout
    assert (tmp_path / "a.pcap").stat().st_size > 24


def test_json_of_a_call_holds_its_messages(lab: Recorded) -> None:
    found = msgspec.json.decode(tasctl("call", UID, "--messages", "--ladder", "--json").stdout)
    assert msgspec.convert(found["messages"], list[TraceMessage]) == [MESSAGE, OK]
    assert (found["call"]["call_uid"], len(found["ladder"])) == (CALL.call_uid, 5)


def test_call_whose_messages_are_gone_says_so(lab: Recorded) -> None:
    lab.answers[f"/v1/calls/{UID}/messages"] = (200, [])
    result = tasctl("call", UID, "--messages")
    assert (result.exit_code, result.stdout) == (0, "no messages are kept\n")
