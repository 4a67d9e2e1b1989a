"""The supervisor: starts the bus and every process, keeps them running, stops them all."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from common.service.bus.aio.embedded import EmbeddedBusError, NatsServer
from tasctl import lab_file
from tasctl.lab.certificates import CertificateError, prepare_certificates
from tasctl.lab.folder import describe_accounts, prepare_phone, prepare_secrets, prepare_trunks
from tasctl.lab.guide import guide
from tasctl.lab.keeper import Keeper, say
from tasctl.lab.plan import HOST, LabPlan, Secrets, children
from tasctl.lab.ports import refusal, taken_ports
from tasctl.status import ProcessStatus, process_status
from tasctl.targets import leading

READY_TIMEOUT_S: Final = 90.0
POLL_S: Final = 0.2
SAY_WAITING_S: Final = 3.0
"""How often it is said which processes are not ready and what they wait for."""
PORTS_TIMEOUT_S: Final = 5.0
"""A lab that was just killed needs a moment to let its ports go."""
RESTART_PAUSE_S: Final = 1.0
QUICK_DEATHS: Final = 5
"""A process that dies this often without ever having been ready since is not started again."""


class StartFailed(Exception):
    """A process ended before the lab was ready; the text has the end of its log."""


class Lab:
    """All processes of one lab."""

    def __init__(self, plan: LabPlan, secrets: Secrets) -> None:
        self._plan = plan
        self._secrets = secrets
        user, password = secrets.bus_user, secrets.bus_password
        self._bus: NatsServer | None = None
        if not plan.bus_url:
            folder = plan.var.resolve() / "bus"
            self._bus = NatsServer(folder, host=HOST, port=plan.bus_port, user=user, password=password)
        logs = plan.var / "log"
        logs.mkdir(parents=True, exist_ok=True)
        self._keepers = [Keeper(child, logs) for child in children(plan, secrets)]
        self._tasks: list[asyncio.Task[None]] = []
        self._waiting: dict[str, str] = {}
        self.failed = asyncio.Event()
        self.hurry = asyncio.Event()
        """Set: stop() kills what has not ended."""

    async def start(self) -> None:
        """Start everything and wait until all is ready; raises StartFailed or EmbeddedBusError."""
        await self._start_bus()
        for keeper in self._keepers:
            await keeper.start()
        self._describe()
        waits = [self._spawn(self._until_ready(keeper)) for keeper in self._keepers]
        teller = self._spawn(self._say_waiting())
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                await asyncio.gather(*waits)
        finally:
            for task in (*waits, teller):
                task.cancel()
        self._tasks = [self._spawn(self._keep(keeper)) for keeper in self._keepers]
        if self._bus is not None:
            self._tasks.append(self._spawn(self._keep_bus(self._bus)))

    async def _start_bus(self) -> None:
        if self._bus is None:
            say(f"bus        yours, {self._bus_address}")
            return
        shutil.rmtree(self._plan.var / "bus", ignore_errors=True)  # retained messages of a lab that is gone
        await self._bus.start()
        say(f"bus        ready on {self._bus_address} (nats-server, MQTT)")

    @property
    def _bus_address(self) -> str:
        if self._bus is not None:
            return f"{HOST}:{self._plan.bus_port}"
        parts = urlsplit(self._plan.bus_url)
        return f"{parts.hostname}:{parts.port or 1883}"

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(work)

    async def _until_ready(self, keeper: Keeper) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        while True:
            assert keeper.process is not None
            if keeper.process.returncode is not None:
                raise StartFailed(f"{keeper.child.name} ended with {keeper.process.returncode}:\n{keeper.tail()}")
            status = await asyncio.to_thread(process_status, self._as_process(keeper))
            if status.ready:
                keeper.was_ready = True
                self._waiting.pop(keeper.child.name, None)
                say(f"{keeper.child.name:10} ready after {loop.time() - started:.1f} s")
                return
            self._waiting[keeper.child.name] = _reason(status)
            await asyncio.sleep(POLL_S)

    async def _say_waiting(self) -> None:
        while True:
            await asyncio.sleep(SAY_WAITING_S)
            if self._waiting:
                say("not ready  " + ", ".join(f"{name} ({reason})" for name, reason in sorted(self._waiting.items())))

    async def _keep(self, keeper: Keeper) -> None:
        """Start a crashed child again."""
        while True:
            code = await keeper.ended()
            keeper.deaths = 1 if keeper.was_ready else keeper.deaths + 1
            keeper.was_ready = False
            if keeper.deaths >= QUICK_DEATHS:
                say(f"{keeper.child.name}: ended {keeper.deaths} times before it was ready, given up:\n{keeper.tail()}")
                self.failed.set()
                return
            say(f"{keeper.child.name}: ended with {code}, started again (log: {keeper.log})")
            await asyncio.sleep(RESTART_PAUSE_S)
            await keeper.start()
            self._describe()
            self._tasks.append(self._spawn(self._notice_ready(keeper)))

    async def _notice_ready(self, keeper: Keeper) -> None:
        process = keeper.process
        while keeper.process is process and process is not None and process.returncode is None:
            if (await asyncio.to_thread(process_status, self._as_process(keeper))).ready:
                keeper.was_ready = True
                say(f"{keeper.child.name}: ready again")
                return
            await asyncio.sleep(POLL_S)

    async def _keep_bus(self, bus: NatsServer) -> None:
        while bus.process is not None:
            code = await bus.process.wait()
            say(f"bus: nats-server ended with {code}, started again")
            await asyncio.sleep(RESTART_PAUSE_S)
            try:
                await bus.start()
            except EmbeddedBusError as error:
                say(f"bus: {error}")
                self.failed.set()
                return
            self._describe()

    def _as_process(self, keeper: Keeper) -> lab_file.Process:
        return lab_file.Process(keeper.child.name, keeper.child.role, keeper.pid, keeper.child.url)

    def _describe(self) -> None:
        plan = self._plan
        processes = [self._as_process(keeper) for keeper in self._keepers]
        if self._bus is not None and self._bus.process is not None:
            processes.insert(0, lab_file.Process("bus", "bus", self._bus.process.pid))
        trunks = [f"{HOST}:{plan.sip(number)}" for number in range(1, plan.tas + 1)]
        lab = lab_file.LabFile(os.getpid(), self._secrets.operator_token, processes, self._bus_address, trunks)
        lab_file.write(plan.var, lab)

    async def stop(self) -> None:
        """Stop everything: TAS nodes first, the bus last."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for role in ("tas", "media", "broker"):
            await asyncio.gather(*(keeper.stop(self.hurry) for keeper in self._keepers if keeper.child.role == role))
        if self._bus is not None:
            await self._bus.stop()
        lab_file.remove(self._plan.var)


def _reason(status: ProcessStatus) -> str:
    return "waits for " + ", ".join(status.waiting_for) if status.waiting_for else "starting"


def run_lab(plan: LabPlan) -> int:
    """Run a lab until Ctrl-C or SIGTERM; the exit code."""
    missing = [
        name for name in ("tas.toml", "mediaserver.toml", "agentbroker.toml") if not (plan.configs / name).exists()
    ]
    if missing:
        return _refuse(f"{plan.configs}: no {', '.join(missing)}")
    try:
        plan.var.mkdir(parents=True, exist_ok=True)
        lock = lab_file.hold(plan.var)
    except OSError as error:
        return _refuse(f"{plan.var}: {error.strerror}; LAB_VAR names another run-time folder")
    if lock is None:
        running = lab_file.read(plan.var)
        who = f" (pid {running.supervisor})" if running is not None else ""
        return _refuse(
            f"a lab runs on {plan.var}/ already{who}; LAB_VAR names another folder, LAB_PORT_BASE other ports"
        )
    try:
        return asyncio.run(_run(plan))
    finally:
        os.close(lock)


def _refuse(text: str) -> int:
    print(f"tasctl: {text}", file=sys.stderr)
    return 2


async def _run(plan: LabPlan) -> int:
    loop = asyncio.get_running_loop()
    began = loop.time()
    stop = asyncio.Event()
    taken = await _wait_for_ports(plan)
    if taken:
        return _refuse(taken)
    try:
        certificates = prepare_certificates(plan.var.resolve())
    except (CertificateError, OSError) as error:
        return _refuse(f"{plan.var / 'tls'}: {error}")
    plan = replace(plan, trunks_file=_absolute(prepare_trunks(plan)), certificates=certificates)
    secrets = prepare_secrets(plan.var.resolve())
    counts = f"{plan.brokers} agent broker(s), {plan.media} media server(s), {plan.tas} TAS node(s)"
    say(f"starting {'the bus, ' if not plan.bus_url else ''}{counts}; logs: {plan.var / 'log'}/")
    lab = Lab(plan, secrets)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, _on_signal, stop, lab)
    try:
        starting = loop.create_task(lab.start())
        await _first(starting, loop.create_task(stop.wait()))
        if not stop.is_set():
            starting.result()
            brokers = [plan.url("broker", number) for number in range(1, plan.brokers + 1)]
            leader = await asyncio.to_thread(leading, brokers, secrets.operator_token)
            seconds = loop.time() - began
            accounts = describe_accounts(plan)
            say(guide(plan, secrets, prepare_phone(plan), leader=leader, accounts=accounts, seconds=seconds))
            await _first(loop.create_task(stop.wait()), loop.create_task(lab.failed.wait()))
    except (StartFailed, EmbeddedBusError) as error:
        say(f"the lab did not start: {error}")
        return 1
    except TimeoutError:
        say(f"the lab was not ready within {READY_TIMEOUT_S:.0f} s; see {plan.var / 'log'}/")
        return 1
    finally:
        say("stopping (Ctrl-C again kills what does not end)")
        await lab.stop()
        say("stopped")
    return 1 if lab.failed.is_set() else 0


def _on_signal(stop: asyncio.Event, lab: Lab) -> None:
    if stop.is_set():
        lab.hurry.set()
    stop.set()


async def _wait_for_ports(plan: LabPlan) -> str:
    """Empty when all ports are free; else, after PORTS_TIMEOUT_S, what to say."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PORTS_TIMEOUT_S
    taken = taken_ports(plan)
    if taken:
        say(f"waiting up to {PORTS_TIMEOUT_S:.0f} s for port {taken[0].number}/{taken[0].kind} ({taken[0].use})")
    while taken and loop.time() < deadline:
        await asyncio.sleep(POLL_S)
        taken = taken_ports(plan)
    return refusal(plan, taken) if taken else ""


async def _first(*tasks: asyncio.Task[Any]) -> None:
    """Wait for the first of several and cancel the others."""
    _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.resolve()
