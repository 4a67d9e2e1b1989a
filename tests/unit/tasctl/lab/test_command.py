"""`tasctl lab`: what it refuses before anything starts, and that the refusal says what to change."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tasctl import lab_file
from tasctl.lab import aio
from tasctl.main import app

CONFIGS = str(Path(__file__).resolve().parents[4] / "configs" / "lab")


@pytest.fixture(autouse=True)
def var(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "var"
    monkeypatch.setenv("LAB_VAR", str(folder))
    for name in ("LAB_PORT_BASE", "LAB_BUS_URL", "LAB_STORE_URL"):
        monkeypatch.delenv(name, raising=False)
    return folder


def refused(*arguments: str, configs: str = CONFIGS) -> str:
    result = CliRunner().invoke(app, ["lab", "--configs", configs, *arguments])
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("tasctl: ")
    return result.stderr.removeprefix("tasctl: ").strip()


@pytest.mark.parametrize("base", ["http", "-1", "²", "5060.5", "80", "65000"])
def test_port_base_that_is_none_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, base: str) -> None:
    monkeypatch.setenv("LAB_PORT_BASE", base)
    assert refused().startswith(f"LAB_PORT_BASE: {base}: must be ")


def test_counts_and_urls_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused("--media", "7") == "media: 7: a lab has 1 to 6 of them"
    assert refused("--bus", "127.0.0.1") == "--bus: must be mqtt://[user:password@]host[:port]"
    monkeypatch.setenv("LAB_STORE_URL", "oracle://x")
    assert refused().startswith("--store: must be postgresql://")


def test_folder_without_configuration_is_refused_by_its_files(tmp_path: Path) -> None:
    said = refused(configs=str(tmp_path))
    assert said == f"{tmp_path}: no tas.toml, mediaserver.toml, agentbroker.toml"


def test_second_lab_on_the_same_folder_is_refused(var: Path) -> None:
    var.mkdir()
    lock = lab_file.hold(var)
    assert lock is not None
    lab_file.write(var, lab_file.LabFile(os.getpid(), "t", []))
    try:
        said = refused()
    finally:
        os.close(lock)
    assert said == (
        f"a lab runs on {var}/ already (pid {os.getpid()}); LAB_VAR names another folder, LAB_PORT_BASE other ports"
    )


def test_run_time_folder_that_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("LAB_VAR", str(file / "var"))
    assert refused() == f"{file}/var: Not a directory; LAB_VAR names another run-time folder"


def some_listener() -> socket.socket:
    """On a port that a lab may have as its base."""
    for port in range(21_000, 29_000, 100):
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError:
            continue
    raise AssertionError("no port is free")


def test_taken_port_is_refused_and_nothing_was_started(monkeypatch: pytest.MonkeyPatch, var: Path) -> None:
    monkeypatch.setattr(aio, "PORTS_TIMEOUT_S", 0.0)
    with some_listener() as taken:
        base = taken.getsockname()[1]
        monkeypatch.setenv("LAB_PORT_BASE", str(base))
        said = refused("--tas", "1", "--media", "1", "--brokers", "1")
    assert f"127.0.0.1:{base}/tcp (SIP of tas-1) is taken by another process" in said
    assert "LAB_PORT_BASE=" in said
    assert [path.name for path in var.iterdir()] == ["lab.lock"]
