"""mediaserver/app.py"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from common.service.aio.lifecycle import Lifecycle
from common.service.config import ConfigError
from mediaserver.app import MediaProcess, load_all_prompts, rtp_socket
from mediaserver.config import ControlSettings, EngineSettings, MediaServerSettings
from tests.unit.mediaserver.support import HOST, make_engine
from tests.unit.mediaserver.test_prompts import write_wav


def test_rtp_socket_is_bound_non_blocking_and_a_taken_port_refused() -> None:
    with rtp_socket(HOST, 0) as first:
        assert first.getblocking() is False
        port = first.getsockname()[1]
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(OSError, match="in use"):
            rtp_socket(HOST, port)
        assert len(os.listdir("/proc/self/fd")) <= before  # the collector may close others' meanwhile


def test_prompts_come_from_the_folder_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "sounds").mkdir()
    write_wav(tmp_path / "sounds" / "welcome.wav")
    assert load_all_prompts(MediaServerSettings(), tmp_path, make_engine()).names == ["welcome"]
    assert load_all_prompts(MediaServerSettings(), tmp_path / "absent", make_engine()).names == []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def settings_of(**changes: object) -> MediaServerSettings:
    return MediaServerSettings.model_validate(
        {
            "control": ControlSettings(port=free_port()),
            "engine": EngineSettings(realtime_priority=0),
            "http": {"port": free_port()},
            **changes,
        }
    )


async def test_process_ends_when_it_is_drained_and_empty(tmp_path: Path) -> None:
    lifecycle = Lifecycle()
    process = MediaProcess(settings_of(), tmp_path, lifecycle)
    assert process.health().draining is False
    lifecycle.on_terminate()
    assert await process.main() == 0
    assert process.health().draining is True


async def test_process_whose_port_is_taken_says_so_and_ends(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        settings = settings_of(control=ControlSettings(port=other.getsockname()[1]))
        assert await MediaProcess(settings, tmp_path, Lifecycle()).main() == 1


def test_absent_tokens_file_stops_the_start(tmp_path: Path) -> None:
    settings = settings_of(http={"port": free_port(), "tokens_file": "tokens.toml"})
    with pytest.raises(ConfigError, match=r"tokens\.toml"):
        MediaProcess(settings, tmp_path, Lifecycle())
