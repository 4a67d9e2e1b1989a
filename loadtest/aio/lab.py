"""A lab of real processes as load runs and tests see it: read over HTTP; one's own is started and stopped as well."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tasctl import lab_file
from tasctl.client import ApiError, first
from tasctl.lab.plan import BUS_PORT, PBX_PORT, STANDARD_BASE
from tasctl.status import lab_status

ROOT: Final = Path(__file__).resolve().parents[2]
CONFIGS: Final = ROOT / "configs" / "lab"
START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 20.0
POLL_S: Final = 0.1
REQUEST_TIMEOUT_S: Final = 10.0


class LabError(Exception):
    """A lab that does not start, does not stop, or is not as it should be in time; the text says what to look at."""


def free_port_base() -> int:
    """A LAB_PORT_BASE whose SIP, HTTP and bus ports are free now; RTP ranges stay below 32768."""
    for _ in range(50):
        base = STANDARD_BASE + random.randrange(100, 7900, 20)
        offset = base - STANDARD_BASE
        ports = (STANDARD_BASE, STANDARD_BASE + 10, 8080, 8081, 9101, 9102, 9201, 9202, 9301, BUS_PORT)
        if all(_is_free(port + offset) for port in ports):
            return base
    raise LabError("no free block of ports for a lab")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A free port P with P+1 free too (softphones take both)."""
    while True:
        with socket.socket() as one, socket.socket() as next_one:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            with contextlib.suppress(OSError, OverflowError):
                next_one.bind(("127.0.0.1", port + 1))
                return port


def wait_for(condition: Callable[[], Any], *, timeout_s: float, what: str) -> Any:
    """Poll `condition` until it is true and return its value; raises LabError naming `what` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError(f"not within {timeout_s:g} s: {what}")
        time.sleep(POLL_S)


class RunningLab:
    """A lab that somebody runs on a var folder."""

    def __init__(self, var: Path, base: int | None = None) -> None:
        """`base` is its LAB_PORT_BASE, by default what its lab.json says."""
        self.var = var
        self.base = base if base is not None else self._base_of_file()
        self.offset = self.base - STANDARD_BASE

    def _base_of_file(self) -> int:
        try:
            return int(self.description["trunks"][0].rpartition(":")[2])
        except (OSError, ValueError, LookupError) as error:
            raise LabError(f"no lab runs on {self.var}/: start one with `make lab`") from error

    @property
    def description(self) -> dict[str, Any]:
        """lab.json as the supervisor wrote it."""
        found: dict[str, Any] = json.loads((self.var / "lab.json").read_text())
        return found

    def names(self, role: str) -> list[str]:
        """Processes of a role, in order."""
        return [process["name"] for process in self.description["processes"] if process["role"] == role]

    @property
    def pids(self) -> dict[str, int]:
        """Process name -> pid."""
        return {process["name"]: process["pid"] for process in self.description["processes"]}

    def sip(self, node: int) -> tuple[str, int]:
        """Where TAS `node` (from 1) listens."""
        return "127.0.0.1", self.base + 10 * (node - 1)

    def pbx_port(self) -> int:
        """Where calls out to trunk `pbx` go, on 127.0.0.2."""
        return PBX_PORT + self.offset

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
        with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT_S) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    @property
    def token(self) -> str:
        """The operator's token."""
        return str(self.description["token"])

    def agents(self) -> dict[str, dict[str, Any]]:
        """Agents by number, as the leading broker shows them; raises ApiError."""
        urls = [self.broker_http(number) for number in range(1, len(self.names("broker")) + 1)]
        return {agent["agent"]: agent for agent in first(urls, "/v1/agents", self.token)}

    def wait_agent(self, agent: str, state: str, timeout_s: float = 10.0) -> dict[str, Any]:
        """Wait until an agent is in a state."""

        def check() -> dict[str, Any] | None:
            try:
                view = self.agents()[agent]
            except ApiError:
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

    def left(self) -> list[str]:
        """What is still alive in TAS nodes and media servers, as `process: counter = value`."""
        left = []
        for number, name in enumerate(self.names("tas"), 1):
            left += [f"{name}: {counter} = {value}" for counter, value in self.node(number)["counts"].items() if value]
        for number, name in enumerate(self.names("media"), 1):
            sessions = self.request(f"{self.media_http(number)}/v1/sessions")
            left += [f"{name}: sessions = {len(sessions)}"] if sessions else []
        return left

    def cdrs(self) -> list[dict[str, Any]]:
        """All rows of the CDR table, by the end of their calls."""
        database = sqlite3.connect(f"file:{self.var / 'opentas.sqlite'}?mode=ro", uri=True)
        with contextlib.closing(database):
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute("SELECT * FROM cdr ORDER BY ended_at")]


class Lab(RunningLab):
    """A lab of one's own. `configs` is a folder like configs/lab, by default that one itself."""

    def __init__(self, var: Path, *, tas: int = 2, media: int = 2, brokers: int = 1, configs: Path | None = None):
        super().__init__(var, free_port_base())
        self.configs = configs or CONFIGS
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
        try:
            wait_for(self._ready, timeout_s=START_TIMEOUT_S, what=f"lab ready; its output is in {self.output}")
        except LabError:
            self._end()
            raise

    def _ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise LabError(f"the lab ended with {self._process.returncode}:\n{self.output.read_text()}")
        lab = lab_file.read(self.var)
        return lab is not None and lab_status(lab).ready

    def tasctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run tasctl against this lab."""
        command = [sys.executable, "-m", "tasctl.main", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self._environment, capture_output=True, text=True, timeout=30, check=False
        )

    def stop(self) -> None:
        """End the lab and insist on clean logs; raises LabError."""
        if self._process is None:
            return
        self._end()
        if self.tracebacks():
            raise LabError("\n".join(self.tracebacks()))

    def _end(self) -> None:
        """SIGINT the supervisor and insist on a clean exit; raises LabError."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            self._process.kill()
            self._process.wait()
            raise LabError(f"the lab did not stop within {STOP_TIMEOUT_S:g} s; see {self.var / 'log'}/") from error
        finally:
            self._process = None

    def tracebacks(self) -> list[str]:
        """Unhandled exceptions in the logs of all processes: there must be none."""
        logs = sorted((self.var / "log").glob("*.log"))
        return [
            f"{log.name}: {text[-2000:]}" for log in logs if "Traceback" in (text := log.read_text(errors="replace"))
        ]


def copy_configs(target: Path, replacements: dict[str, dict[str, str]]) -> Path:
    """Copy configs/lab to `target` with literal replacements by file name; raises LabError for one not found."""
    shutil.copytree(CONFIGS, target)
    for name, changes in replacements.items():
        path = target / name
        text = path.read_text()
        for old, new in changes.items():
            if old not in text:
                raise LabError(f"{name} has no {old!r}")
            text = text.replace(old, new)
        path.write_text(text)
    return target
