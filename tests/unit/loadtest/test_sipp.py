"""SIPp's command line and its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.sipp import SCENARIOS, Counts, Sipp, SippError, read_counts, read_response_times_ms

HEADER = "StartTime;TotalCallCreated;SuccessfulCall(P);SuccessfulCall(C);FailedCall(P);FailedCall(C);\n"


def test_counts_are_the_cumulative_ones_of_the_last_line(tmp_path: Path) -> None:
    file = tmp_path / "stat.csv"
    file.write_text(HEADER + "1;3;1;1;0;0;\n2;10;6;7;1;2;\n")
    assert read_counts(file) == Counts(created=10, successful=7, failed=2)


@pytest.mark.parametrize("text", ["", HEADER, HEADER + "1;3;1\n", HEADER + "1;3;1;x;0;0;\n"])
def test_counts_of_a_file_that_is_not_yet_whole_are_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "stat.csv"
    file.write_text(text)
    assert read_counts(file) is None


def test_counts_of_a_sipp_that_has_not_written_are_zero_so_far_and_none_at_the_end(tmp_path: Path) -> None:
    assert read_counts(tmp_path / "stat.csv") is None
    sipp = Sipp(tmp_path, "uac_call.xml")
    assert sipp.progress() == Counts(0, 0, 0)
    with pytest.raises(SippError, match="wrote no statistics"):
        sipp.counts()


def test_counts_add_up() -> None:
    assert Counts(3, 2, 1) + Counts(4, 4, 0) == Counts(7, 6, 1)


def test_response_times_are_those_of_every_file(tmp_path: Path) -> None:
    header = "Date_ms;response_time_ms;rtd_no\n"
    (tmp_path / "uac_1_rtt.csv").write_text(header + "1.0;4.000;setup\n2.0;8.000;setup\n")
    (tmp_path / "uac_2_rtt.csv").write_text(header + "1.0;12.000;setup\n")
    assert sorted(read_response_times_ms(tmp_path)) == [4.0, 8.0, 12.0]


def test_command_is_bounded_in_calls_and_time_and_names_the_far_end_last(tmp_path: Path) -> None:
    sipp = Sipp(tmp_path, "uac_call.xml", ("127.0.0.1", 5060), calls=7, rate=2, timeout_s=9, number="8000")
    sipp.prefix = ["taskset", "-c", "1"]
    command = sipp.command()
    assert command[:4] == ["taskset", "-c", "1", "sipp"]
    assert command[-1] == "127.0.0.1:5060"
    for option, value in (("-m", "7"), ("-r", "2"), ("-timeout", "9s"), ("-s", "8000"), ("-i", "127.0.0.1")):
        assert command[command.index(option) + 1] == value
    assert "-nostdin" in command


@pytest.mark.parametrize("name", ["register.xml", "uac_call.xml", "uas_agent.xml"])
def test_scenarios_of_load_runs_are_there(name: str, tmp_path: Path) -> None:
    assert Sipp(tmp_path, name).scenario_path() == SCENARIOS / name
    assert (SCENARIOS / name).read_text().startswith("<?xml")
