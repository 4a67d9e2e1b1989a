"""Processes that are absent at start or die: what waits for them says so, and goes on by itself when they are back."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasctl.client import ApiError, get
from tasctl.lab.folder import prepare_secrets
from tasctl.lab.plan import Child, LabPlan, children
from tests.system.support import baresip, sipp
from tests.system.support.lab import ROOT, Lab, copy_configs, wait_for
from tests.system.support.parties import (
    hang_up_and_wait,
    is_idle,
    living_calls,
    seconds_of_sound,
    trunk_caller,
    wait_call,
    wait_cdr,
)
from tests.system.support.rawsip import SDP, UdpPeer, request

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not sipp.installed(), reason="sipp is not installed (make setup installs sip-tester)"),
    pytest.mark.skipif(not baresip.installed(), reason="baresip is not installed (make setup installs baresip-core)"),
]

START_S = 30.0
"""A Python process on a busy machine."""
RESTART_S = 20.0
"""The supervisor's pause, the process's start, and whoever connects to it again."""
AGENT = "1001"


BUS = """
import asyncio, pathlib, sys
from common.service.bus.aio.embedded import NatsServer
async def run(folder, port, user, password):
    bus = NatsServer(pathlib.Path(folder), host="127.0.0.1", port=int(port), user=user, password=password)
    await bus.start()
    await bus.process.wait()
asyncio.run(run(*sys.argv[1:]))
"""


# A TAS that comes first.


class Pieces:
    """The processes of a lab, started one by one by the test."""

    def __init__(self, folder: Path) -> None:
        var = folder / "var"
        (var / "log").mkdir(parents=True)
        self.base = Lab(var).base
        self.plan = LabPlan(tas=1, media=1, brokers=1, configs=ROOT / "configs" / "lab", var=var, base=self.base)
        self.secrets = prepare_secrets(var)
        self.store = folder / "store" / "opentas.sqlite"
        self.store.mkdir(parents=True)  # a folder in the place of the database: it cannot be opened
        self._running: list[subprocess.Popen[bytes]] = []
        self._children = {child.role: child for child in children(self.plan, self.secrets)}

    def start(self, role: str) -> Child:
        """Start tas, media or broker."""
        child = self._children[role]
        environment = {**os.environ, **child.environment, "OPENTAS_TAS__STORE__URL": f"sqlite:///{self.store}"}
        self._start(child.arguments, self.log(role), environment)
        return child

    def start_bus(self) -> None:
        """Start the embedded bus with a process of its own to look after it."""
        who = [self.secrets.bus_user, self.secrets.bus_password]
        command = [sys.executable, "-c", BUS, str(self.plan.var / "bus"), str(self.plan.bus_port), *who]
        self._start(command, self.log("bus"), dict(os.environ))

    def _start(self, command: list[str], log: Path, environment: dict[str, str]) -> None:
        with log.open("wb") as output:
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        self._running.append(process)

    def log(self, role: str) -> Path:
        """Where a process's output goes."""
        return self.plan.var / "log" / f"{role}.log"

    def stop(self) -> None:
        """Interrupt all, the last started first."""
        for process in reversed(self._running):
            process.send_signal(signal.SIGINT)
        for process in self._running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def pieces(tmp_path: Path) -> Iterator[Pieces]:
    pieces = Pieces(tmp_path)
    yield pieces
    pieces.stop()


def waiting_for(url: str) -> set[str] | None:
    """What /readyz says; None before there is an answer. A process that waits answers 503."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=3) as answer:
            status, body = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, body = error.code, error.read()
    except OSError:
        return None
    waits = set(json.loads(body)["waiting_for"])
    assert status == (503 if waits else 200), (status, waits)
    return waits


def test_tas_waits_for_media_bus_and_store_and_serves_calls_once_they_come(pieces: Pieces, tmp_path: Path) -> None:
    url = pieces.start("tas").url
    absent = {"media server", "bus", "store"}
    wait_for(lambda: waiting_for(url) == absent, timeout_s=START_S, what=f"/readyz waits for {absent}")
    trunk = UdpPeer(("127.0.0.1", pieces.base))
    refused = trunk.final(request("INVITE", "9196", source=trunk.address, body=SDP.format(formats="8")))
    assert refused.status == 503
    assert 1 <= int(refused["retry-after"]) <= 60
    trunk.close()
    log = pieces.log("tas")
    for text in ("media server not usable", "bus not reachable", "store not reachable"):
        wait_for(lambda text=text: text in log.read_text(), timeout_s=10, what=f"the log says {text!r}")

    pieces.start("media")
    wait_for(lambda: waiting_for(url) == {"bus", "store"}, timeout_s=START_S, what="the media server found")
    call_echo(pieces, tmp_path / "without-store")
    pieces.start_bus()
    wait_for(lambda: waiting_for(url) == {"store"}, timeout_s=START_S, what="the bus found")
    pieces.store.rmdir()
    wait_for(lambda: waiting_for(url) == set(), timeout_s=START_S, what="the store found")
    call_echo(pieces, tmp_path / "with-all")
    reader = Lab(pieces.plan.var)
    reader.var = pieces.store.parent
    rows = wait_for(lambda: len(reader.cdrs()) == 3 and reader.cdrs(), timeout_s=10, what="three CDRs")
    assert [(row["result"], row["sip_cause"]) for row in rows] == [
        ("rejected", 503),
        ("answered", 200),
        ("answered", 200),
    ]


def call_echo(pieces: Pieces, folder: Path) -> None:
    """One call to the echo test succeeds."""
    call = sipp.Sipp(folder, "uac_call.xml", ("127.0.0.1", pieces.base), host="127.0.0.2", number="9196", timeout_s=15)
    call.extra = ["-d", "200"]
    counts = call.run()
    assert (counts.successful, counts.failed) == (1, 0), call.errors()


# A lab whose processes die.


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    changes = {"tas.toml": {"t1_s = 0.5": "t1_s = 0.1"}, "queues.toml": {"wrapuptime = 5": "wrapuptime = 0.5"}}
    lab = Lab(folder / "var", brokers=2, configs=copy_configs(folder / "configs", changes))
    lab.start()
    yield lab
    lab.stop()


@pytest.fixture(scope="module")
def shared_caller(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[baresip.Baresip]:
    """A caller on the trunk to tas-1."""
    phone = trunk_caller(lab, tmp_path_factory.mktemp("caller") / "phone")
    yield phone
    phone.stop()


@pytest.fixture
def caller(shared_caller: baresip.Baresip) -> Iterator[baresip.Baresip]:
    """The caller, idle before and after."""
    yield shared_caller
    hang_up_and_wait(shared_caller)


@pytest.fixture(scope="module")
def agent(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[baresip.Baresip]:
    """Agent 1001, NotReady."""
    folder = tmp_path_factory.mktemp("agent") / "phone"
    phone = baresip.Baresip(folder, AGENT, server=lab.sip(1), password=f"lab-{AGENT}")
    phone.start()
    lab.wait_agent(AGENT, "Ready")
    wait_for(lambda: leader(lab), timeout_s=5, what="a leader")
    set_state(lab, "NotReady")
    wait_for(lambda: remembered(lab) == "NotReady", timeout_s=5, what="the agent's state in the store")
    yield phone
    phone.stop()


def leader(lab: Lab) -> int:
    """Number of the broker that leads, 0 when none does."""
    for number in (1, 2):
        try:
            get(lab.broker_http(number), "/v1/agents", lab.token)
        except ApiError:
            continue
        return number
    return 0


def set_state(lab: Lab, state: str) -> None:
    """Make the agent Ready or NotReady, at the leader."""
    lab.request(f"{lab.broker_http(leader(lab))}/v1/agents/{AGENT}/state", {"state": state})


def remembered(lab: Lab) -> str:
    """The agent's state as the store has it: what a new leader begins with."""
    with contextlib.closing(sqlite3.connect(f"file:{lab.var / 'opentas.sqlite'}?mode=ro", uri=True)) as database:
        row = database.execute("SELECT state FROM agent_activity WHERE agent = ? ORDER BY id DESC", [AGENT]).fetchone()
    return str(row[0]) if row else ""


def kill(lab: Lab, name: str) -> int:
    """kill -9 a process of this lab; its pid."""
    pid = lab.pids[name]
    os.kill(pid, signal.SIGKILL)
    return pid


def media_states(lab: Lab, node: int, server: str) -> str:
    """How a TAS sees a media server."""
    views = lab.request(f"{lab.node_http(node)}/v1/media")
    (state,) = [view["state"] for view in views if view["server"] == server]
    return str(state)


def test_killed_media_server_is_taken_back_into_the_round_robin(
    lab: Lab, caller: baresip.Baresip, tmp_path: Path
) -> None:
    before = len(lab.cdrs())
    caller.dial("9196")
    server: str = wait_call(lab, "treatment")["legs"][0]["media"]
    kill(lab, server)
    cdr = wait_cdr(lab, before, timeout_s=10)
    assert (cdr["result"], cdr["reason"], cdr["media_server"]) == ("failed", "media_lost", server)
    wait_for(lambda: is_idle(caller), timeout_s=5, what="BYE to the caller")
    before = len(lab.cdrs())
    call(lab, tmp_path / "meanwhile", calls=1)
    assert wait_cdr(lab, before)["media_server"] != server
    for node in (1, 2):
        wait_for(
            lambda node=node: media_states(lab, node, server) == "up", timeout_s=RESTART_S, what=f"{server} up again"
        )
    before = len(lab.cdrs())
    call(lab, tmp_path / "afterwards", calls=6)
    rows = wait_for(lambda: len(lab.cdrs()) >= before + 6 and lab.cdrs()[before:], timeout_s=8, what="6 CDRs")
    assert Counter(row["media_server"] for row in rows) == {"media-1": 3, "media-2": 3}


def call(lab: Lab, folder: Path, calls: int) -> None:
    """Calls to the echo test, all of which succeed."""
    caller = sipp.Sipp(
        folder, "uac_call.xml", lab.sip(1), host="127.0.0.2", number="9196", calls=calls, rate=10, timeout_s=20
    )
    caller.extra = ["-d", "100"]
    counts = caller.run()
    assert (counts.successful, counts.failed) == (calls, 0), caller.errors()


def test_standby_broker_leads_when_the_leader_is_killed_and_serves_who_waits(
    lab: Lab, caller: baresip.Baresip, agent: baresip.Baresip
) -> None:
    caller.dial("8000")
    uid = wait_call(lab, "queued")["call_uid"]
    deposed = leader(lab)
    kill(lab, f"broker-{deposed}")
    wait_for(lambda: leader(lab) == 3 - deposed, timeout_s=10, what="the standby leads")
    view = lab.wait_agent(AGENT, "NotReady", timeout_s=5)
    assert view["device"] == "registered"
    set_state(lab, "Ready")
    assert wait_call(lab, "talking")["call_uid"] == uid
    lab.wait_agent(AGENT, "Talking")
    hang_up_and_wait(caller)
    lab.wait_agent(AGENT, "Ready")
    caller.dial("8000")
    wait_call(lab, "talking")
    hang_up_and_wait(caller)
    lab.wait_agent(AGENT, "Ready")
    set_state(lab, "NotReady")
    wait_for(lambda: lab.tasctl("status").returncode == 0, timeout_s=RESTART_S, what="the killed broker back")
    assert leader(lab) == 3 - deposed, "the one that came back stands by"


def test_bus_that_is_killed_costs_no_call_and_callers_get_agents_afterwards(
    lab: Lab, caller: baresip.Baresip, agent: baresip.Baresip, tmp_path: Path
) -> None:
    """The agent talks all the time, so the second caller must not be offered to it before it is free."""
    set_state(lab, "Ready")
    caller.dial("8000")
    first = wait_call(lab, "talking")["call_uid"]
    waiter = trunk_caller(lab, tmp_path / "waiter", tone=900.0)
    try:
        waiter.dial("8000")
        second = wait_for(lambda: queued(lab), timeout_s=10, what="a second caller in the queue")["call_uid"]
        killed = kill(lab, "bus")
        wait_for(lambda: not lab.node(1)["bus"], timeout_s=5, what="the bus lost")
        heard = seconds_of_sound(agent)
        wait_for(lambda: lab.pids["bus"] != killed and buses(lab) == [True, True], timeout_s=RESTART_S, what="the bus")
        wait_for(lambda: seconds_of_sound(agent) > heard + 0.5, timeout_s=5, what="sound while the bus is away")
        lab.wait_agent(AGENT, "Talking", timeout_s=10)
        assert {view["call_uid"]: view["state"] for view in living_calls(lab)} == {first: "talking", second: "queued"}
        hang_up_and_wait(caller)
        assert wait_call(lab, "talking")["call_uid"] == second
        legs = lab.request(f"{lab.node_http(1)}/v1/calls/{second}")["legs"]
        assert len(legs) == 2, "the caller was offered once"
        hang_up_and_wait(waiter)
    finally:
        waiter.stop()
    lab.wait_agent(AGENT, "Ready")


def queued(lab: Lab) -> dict[str, Any] | None:
    """The call that waits at tas-1."""
    return next((view for view in living_calls(lab) if view["state"] == "queued"), None)


def buses(lab: Lab) -> list[bool]:
    """Whether each TAS has its bus."""
    return [lab.node(number)["bus"] for number in (1, 2)]


def test_nothing_is_left_when_all_calls_are_over(lab: Lab) -> None:
    wait_for(lambda: not lab.left(), timeout_s=45, what="transactions, dialogs, calls and sessions gone")
