"""Arguments and exit codes of the load command."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.app import main, parse
from loadtest.profile import Profile


def test_arguments_make_the_profile() -> None:
    profile, lab = parse(["--calls", "1000", "--rate", "20", "--agents", "40", "--hold", "1", "--lab", "var"])
    assert profile == Profile(calls=1000, rate=20, agents=40, hold_s=1)
    assert lab == Path("var")
    assert parse([]) == (Profile(), None)


def test_load_that_cannot_be_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--calls", "0"]) == 2
    assert "calls: 0" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--calls", "many"], ["--speed", "3"]])
def test_argument_that_is_none_ends_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_lab_that_does_not_run_ends_with_1_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAB_VAR", str(tmp_path))
    monkeypatch.setattr("loadtest.sipp.installed", lambda: True)
    assert main(["--lab", str(tmp_path)]) == 1
    assert "no lab runs on" in capsys.readouterr().err
