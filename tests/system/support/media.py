"""A media server process of its own, and a TAS reduced to its control link."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from common.contracts.media import VERSION
from common.service.aio.children import die_with_parent
from tests.system.support.lab import ROOT, wait_for

HOST = "127.0.0.1"
RTP_PORTS = 1600
REPLY_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 10.0
TOKEN = "of this test"


def free_port() -> int:
    """A TCP port that is free now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class ControlClient:
    """Requests and their replies; notifications are passed over."""

    def __init__(self, port: int, node: str, token: str) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=REPLY_TIMEOUT_S)
        self._lines = self._socket.makefile("rb")
        self._next_id = 0
        self.taken: list[str] = []
        """All sessions it was ever given."""
        self.hello = self.ask("hello", version=VERSION, node=node, incarnation="1", token=token)["result"]

    def ask_all(self, method: str, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Pipeline requests; their replies in order."""
        first = self._next_id + 1
        lines = []
        for params in requests:
            self._next_id += 1
            lines.append(json.dumps({"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": params}))
        self._socket.sendall(("\n".join(lines) + "\n").encode())
        replies: list[dict[str, Any]] = []
        while len(replies) < len(requests):
            message = json.loads(self._lines.readline())
            if "id" in message:
                replies.append(message)
        assert [reply["id"] for reply in replies] == list(range(first, self._next_id + 1))
        return replies

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """One request and its reply."""
        return self.ask_all(method, [params])[0]

    def take(self, count: int, name: str) -> list[dict[str, Any]]:
        """Ask for `count` sessions; the replies."""
        names = [f"{name}-{n}" for n in range(count)]
        replies = self.ask_all("session.create", [{"session": session, "call_uid": session} for session in names])
        self.taken += [reply["result"]["session"] for reply in replies if "result" in reply]
        return replies

    def used(self) -> int:
        """Connection points in use, as the server says."""
        used: int = self.ask("server.get_status")["result"]["used"]
        return used

    def close(self) -> None:
        """End the link."""
        self._lines.close()
        self._socket.close()


class MediaServerProcess:
    """`opentas-mediaserver` with a configuration of its own."""

    def __init__(self, folder: Path, name: str, rtp_low: int) -> None:
        folder.mkdir()
        self.control_port = free_port()
        (folder / "control.token").write_text(TOKEN)
        (folder / "sounds").mkdir()
        config = folder / "mediaserver.toml"
        config.write_text(
            f'name = "{name}"\n[rtp]\nport_low = {rtp_low}\nport_high = {rtp_low + RTP_PORTS - 1}\n'
            f'[control]\nport = {self.control_port}\ntoken_file = "control.token"\n[http]\nport = {free_port()}\n'
        )
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mediaserver.app", "--config", str(config)],
                cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, preexec_fn=die_with_parent,
            )  # fmt: skip
        wait_for(self._listens, timeout_s=20, what=f"{name} listens; its log is {self.log}")

    def _listens(self) -> bool:
        assert self._process.poll() is None, self.log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.control_port)) == 0

    def connect(self, node: str, token: str = TOKEN) -> ControlClient:
        """A link of a TAS node."""
        return ControlClient(self.control_port, node, token)

    def sockets(self) -> int:
        """Descriptors of the process."""
        return len(list(Path(f"/proc/{self._process.pid}/fd").iterdir()))

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self._process.terminate()
        try:
            return self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise


def rtp_base() -> int:
    """Where two servers' RTP ranges may lie, below the system's own ports."""
    return random.randrange(22000, 28000, 2)
