"""What bench_media.py measures with: the native floor and generator, and a media server led as a TAS leads it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from common.contracts.ids import SessionId
from common.contracts.media import VERSION, DeleteResult, Hello, SessionDelete, Statistics
from common.contracts.rpc import decode_line, encode_request
from common.service.lines import LineSplitter
from loadtest.aio.lab import free_port
from tests.system.support.lab import ROOT, wait_for

NATIVE = Path(__file__).resolve().parent / "native"
CONFIG = """\
name = "bench"
[rtp]
port_low = {rtp_low}
port_high = {rtp_high}
[control]
port = {control}
[prompts]
folder = "{prompts}"
[http]
port = {http}
"""
RTP_LOW, RTP_HIGH = 24000, 31999
"""Four thousand even ports, below the ephemeral ones: each round of 500 finds rested ones."""
REPLY_TIMEOUT_S = 10.0


def build(name: str, folder: Path) -> Path:
    """Compile native/NAME.c."""
    target = folder / name
    compiler = os.environ.get("CC", "cc")
    source = NATIVE / f"{name}.c"
    subprocess.run([compiler, "-O2", "-std=gnu11", "-Wall", "-Wextra", "-o", str(target), str(source)], check=True)
    return target


class Native:
    """A floor or a generator: names its ports, is told its peers', runs, prints a line of JSON."""

    def __init__(self, core: int, program: Path, *arguments: object) -> None:
        command = ["taskset", "-c", str(core), str(program), *map(str, arguments)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.ports = [int(port) for port in self._process.stdout.readline().split()[1:]]

    @property
    def pid(self) -> int:
        """taskset becomes the program it starts."""
        return self._process.pid

    def connect(self, ports: list[int]) -> None:
        """Tell it whom to talk to; it starts at once."""
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(map(str, ports)) + "\n")
        self._process.stdin.flush()

    def terminate(self) -> None:
        """End a floor."""
        self._process.terminate()

    def result(self, timeout_s: float) -> dict[str, Any]:
        """Wait for the end and read what it found."""
        try:
            output, _ = self._process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        assert self._process.returncode == 0, f"ended with {self._process.returncode}"
        found: dict[str, Any] = json.loads(output)
        return found


class ControlClient:
    """A TAS's end of the control link: requests of a round are pipelined, notifications passed over."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=REPLY_TIMEOUT_S)
        self._lines = LineSplitter()
        self._ids = count(1)
        self.ask([("hello", Hello(VERSION, "tas-1", "bench"))])

    def ask(self, requests: list[tuple[str, object]]) -> list[msgspec.Raw]:
        """The results in the order of the requests; an error reply fails."""
        ids = [next(self._ids) for _ in requests]
        for request_id, (method, params) in zip(ids, requests, strict=True):
            self._socket.sendall(encode_request(method, params, request_id))
        results: dict[int, msgspec.Raw] = {}
        while len(results) < len(ids):
            data = self._socket.recv(65536)
            assert data, "the media server closed the link"
            for line in self._lines.feed(data):
                message = decode_line(line)
                assert message.error is None, message.error
                if message.id is not None:
                    results[message.id] = message.result
        return [results[request_id] for request_id in ids]

    def delete(self, sessions: list[SessionId]) -> list[Statistics]:
        """End sessions; their last statistics."""
        (result,) = self.ask([("session.delete", SessionDelete(sessions))])
        return msgspec.json.decode(result, type=DeleteResult).statistics

    def close(self) -> None:
        """Break the link."""
        self._socket.close()


class MediaProcess:
    """A real media server on one core, with the lab's prompts."""

    def __init__(self, folder: Path, core: int) -> None:
        control = free_port()
        values = {"control": control, "http": free_port(), "rtp_low": RTP_LOW, "rtp_high": RTP_HIGH}
        config = folder / "mediaserver.toml"
        config.write_text(CONFIG.format(prompts=ROOT / "configs" / "lab" / "sounds", **values))
        command = ["taskset", "-c", str(core), sys.executable, "-m", "mediaserver.app", "--config", str(config)]
        self.log = folder / "mediaserver.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        wait_for(lambda: self._listens(control), timeout_s=20, what=f"media server listens, see {self.log}")
        self.control = ControlClient(control)

    def _listens(self, port: int) -> bool:
        assert self._process.poll() is None, self.log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    @property
    def pid(self) -> int:
        """Of the media server."""
        return self._process.pid

    def stop(self) -> None:
        """Two signals: the first only drains."""
        self.control.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
