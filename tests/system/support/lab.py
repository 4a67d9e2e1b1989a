"""A lab of real processes for one test module: started by the supervisor, read over HTTP, stopped by pid."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
STANDARD_BASE = 5060
"""tas-1's SIP port in a lab without LAB_PORT_BASE; every other port keeps its distance to it."""


def free_port_base() -> int:
    """A LAB_PORT_BASE whose SIP, HTTP and bus ports are free now; RTP ranges stay below 32768."""
    for _ in range(50):
        base = STANDARD_BASE + random.randrange(100, 7900, 20)
        offset = base - STANDARD_BASE
        if all(_is_free(port + offset) for port in (5060, 5070, 8080, 8081, 9101, 9102, 9201, 9202, 9301, 18830)):
            return base
    raise RuntimeError("no free block of ports for a lab")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def wait_for(condition: Callable[[], Any], *, timeout_s: float, what: str) -> Any:
    """Poll `condition` until it is true and return its value; fail naming `what` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(0.1)


class Lab:
    """One running lab. `configs` is a folder like configs/lab, by default that one itself."""

    def __init__(self, var: Path, *, tas: int = 2, media: int = 2, brokers: int = 1, configs: Path | None = None):
        self.var = var
        self.base = free_port_base()
        self.offset = self.base - STANDARD_BASE
        self.configs = configs or ROOT / "configs" / "lab"
        self._counts = (tas, media, brokers)
        self._environment = dict(os.environ, LAB_PORT_BASE=str(self.base), LAB_VAR=str(var))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, prefix: list[str] | None = None) -> None:
        """Start and wait until every process is ready; `prefix` goes before the command (taskset)."""
        tas, media, brokers = self._counts
        self.var.mkdir(parents=True, exist_ok=True)
        command = [*(prefix or []), sys.executable, "-m", "tasctl.main", "lab", "--configs", str(self.configs)]
        command += ["--tas", str(tas), "--media", str(media), "--brokers", str(brokers)]
        self.output = self.var / "lab.out"
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=self._environment, stdout=output, stderr=subprocess.STDOUT
            )
        wait_for(self._ready, timeout_s=START_TIMEOUT_S, what=f"lab ready; its output is in {self.output}")

    def _ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"the lab ended with {self._process.returncode}:\n{self.output.read_text()}")
        return self.tasctl("status", "--json").returncode == 0

    def tasctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run tasctl against this lab."""
        command = [sys.executable, "-m", "tasctl.main", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self._environment, capture_output=True, text=True, timeout=30, check=False
        )

    def stop(self) -> None:
        """SIGTERM the supervisor and insist on a clean exit."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        finally:
            self._process = None
        assert not self.tracebacks(), "\n".join(self.tracebacks())

    def tracebacks(self) -> list[str]:
        """Unhandled exceptions in the logs of all processes: there must be none."""
        logs = sorted((self.var / "log").glob("*.log"))
        return [
            f"{log.name}: {text[-2000:]}" for log in logs if "Traceback" in (text := log.read_text(errors="replace"))
        ]

    @property
    def description(self) -> dict[str, Any]:
        """lab.json as the supervisor wrote it."""
        found: dict[str, Any] = json.loads((self.var / "lab.json").read_text())
        return found

    def sip(self, node: int) -> tuple[str, int]:
        """Where TAS `node` (from 1) listens."""
        return "127.0.0.1", self.base + 10 * (node - 1)

    def pbx_port(self) -> int:
        """Where calls out to trunk `pbx` go, on 127.0.0.2."""
        return 5080 + self.offset

    def node_http(self, node: int) -> str:
        """HTTP address of TAS `node`."""
        return f"http://127.0.0.1:{9100 + node + self.offset}"

    def media_http(self, server: int) -> str:
        """HTTP address of media server `server`."""
        return f"http://127.0.0.1:{9300 + server + self.offset}"

    def broker_http(self, broker: int = 1) -> str:
        """HTTP address of a broker."""
        return f"http://127.0.0.1:{8080 + broker - 1 + self.offset}"

    def request(self, url: str, body: dict[str, Any] | None = None) -> Any:
        """GET, or POST `body`, as operator; the JSON answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, headers={"Authorization": f"Bearer {self.token}"})
        if data is not None:
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=5) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    @property
    def token(self) -> str:
        """The operator's token."""
        return str(self.description["token"])

    def agents(self) -> dict[str, dict[str, Any]]:
        """Agents by number, as the broker shows them."""
        return {agent["agent"]: agent for agent in self.request(f"{self.broker_http()}/v1/agents")}

    def wait_agent(self, agent: str, state: str, timeout_s: float = 10.0) -> dict[str, Any]:
        """Wait until an agent is in a state."""

        def check() -> dict[str, Any] | None:
            try:
                view = self.agents()[agent]
            except urllib.error.URLError:
                return None
            return view if view["state"] == state else None

        found: dict[str, Any] = wait_for(check, timeout_s=timeout_s, what=f"agent {agent} {state}")
        return found

    def set_agent(self, agent: str, state: str, reason: str = "") -> None:
        """Change an agent's state as a supervisor."""
        self.request(f"{self.broker_http()}/v1/agents/{agent}/state", {"state": state, "reason": reason})

    def node(self, node: int) -> dict[str, Any]:
        """GET /v1/node of a TAS: counts of everything that must go back to zero."""
        found: dict[str, Any] = self.request(f"{self.node_http(node)}/v1/node")
        return found

    def cdrs(self) -> list[dict[str, Any]]:
        """All rows of the CDR table."""
        import sqlite3

        with sqlite3.connect(f"file:{self.var / 'opentas.sqlite'}?mode=ro", uri=True) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute("SELECT * FROM cdr ORDER BY ended_at")]


def copy_configs(target: Path, replacements: dict[str, dict[str, str]]) -> Path:
    """Copy configs/lab to `target` with literal replacements by file name, each of which must be found."""
    shutil.copytree(ROOT / "configs" / "lab", target)
    for name, changes in replacements.items():
        path = target / name
        text = path.read_text()
        for old, new in changes.items():
            assert old in text, f"{name} has no {old!r}"
            text = text.replace(old, new)
        path.write_text(text)
    return target
