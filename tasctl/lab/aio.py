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

from common.service.aio.children import die_with_parent
from common.service.bus.aio.embedded import EmbeddedBusError, NatsServer
from tasctl import lab_file
from tasctl.lab.folder import prepare_phone, prepare_secrets, prepare_trunks
from tasctl.lab.guide import guide
from tasctl.lab.plan import HOST, Child, LabPlan, Secrets, children
from tasctl.status import ProcessStatus, process_status
from tasctl.targets import leading

READY_TIMEOUT_S: Final = 90.0
POLL_S: Final = 0.2
SAY_WAITING_S: Final = 3.0
"""A process that is not ready says every so often what it waits for."""
STOP_TIMEOUT_S: Final = 8.0
RESTART_PAUSE_S: Final = 1.0
QUICK_DEATHS: Final = 5
"""A process that dies this often without ever having been ready since is not started again."""
LOG_TAIL_LINES: Final = 12


class StartFailed(Exception):
    """A process ended before the lab was ready; the text has the end of its log."""


def say(text: str) -> None:
    """A progress line."""
    print(text, flush=True)


class Keeper:
    """Keeps one child running."""

    def __init__(self, child: Child, folder: Path) -> None:
        self.child = child
        self.log = folder / f"{child.name}.log"
        self.process: asyncio.subprocess.Process | None = None
        self.was_ready = False
        self.deaths = 0

    @property
    def pid(self) -> int:
        """Of the running process, else 0."""
        return 0 if self.process is None else self.process.pid

    async def start(self) -> None:
        """Start the child with its output going to its log."""
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.child.arguments,
                env={**os.environ, **self.child.environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    async def ended(self) -> int:
        """Wait for the end; the exit code."""
        assert self.process is not None
        return await self.process.wait()

    def tail(self) -> str:
        """The end of the log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return "\n".join(f"    {line}" for line in lines)

    async def stop(self) -> None:
        """SIGINT, and SIGKILL when that is not enough."""
        process = self.process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            say(f"{self.child.name}: does not stop, killed")
            process.kill()
            await process.wait()


class Lab:
    """All processes of one lab."""

    def __init__(self, plan: LabPlan, secrets: Secrets) -> None:
        self._plan = plan
        self._secrets = secrets
        user, password = secrets.bus_user, secrets.bus_password
        self._bus = NatsServer(plan.var.resolve() / "bus", host=HOST, port=plan.bus_port, user=user, password=password)
        logs = plan.var / "log"
        logs.mkdir(parents=True, exist_ok=True)
        self._keepers = [Keeper(child, logs) for child in children(plan, secrets)]
        self._tasks: list[asyncio.Task[None]] = []
        self.failed = asyncio.Event()

    async def start(self) -> None:
        """Start everything and wait until all is ready; raises StartFailed or EmbeddedBusError."""
        shutil.rmtree(self._plan.var / "bus", ignore_errors=True)  # retained messages of a lab that is gone
        await self._bus.start()
        say(f"bus        ready on {HOST}:{self._plan.bus_port} (nats-server, MQTT)")
        for keeper in self._keepers:
            await keeper.start()
        self._describe()
        async with asyncio.timeout(READY_TIMEOUT_S):
            await asyncio.gather(*(self._until_ready(keeper) for keeper in self._keepers))
        self._tasks = [self._spawn(self._keep(keeper)) for keeper in self._keepers]
        self._tasks.append(self._spawn(self._keep_bus()))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(work)

    async def _until_ready(self, keeper: Keeper) -> None:
        loop = asyncio.get_running_loop()
        started = said = loop.time()
        while True:
            assert keeper.process is not None
            if keeper.process.returncode is not None:
                raise StartFailed(f"{keeper.child.name} ended with {keeper.process.returncode}:\n{keeper.tail()}")
            status = await asyncio.to_thread(process_status, self._as_process(keeper))
            if status.ready:
                keeper.was_ready = True
                say(f"{keeper.child.name:10} ready after {loop.time() - started:.1f} s")
                return
            if loop.time() - said > SAY_WAITING_S:
                said = loop.time()
                say(f"{keeper.child.name:10} {_reason(status)}")
            await asyncio.sleep(POLL_S)

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

    async def _keep_bus(self) -> None:
        while self._bus.process is not None:
            code = await self._bus.process.wait()
            say(f"bus: nats-server ended with {code}, started again")
            await asyncio.sleep(RESTART_PAUSE_S)
            try:
                await self._bus.start()
            except EmbeddedBusError as error:
                say(f"bus: {error}")
                self.failed.set()
                return
            self._describe()

    def _as_process(self, keeper: Keeper) -> lab_file.Process:
        return lab_file.Process(keeper.child.name, keeper.child.role, keeper.pid, keeper.child.url)

    def _describe(self) -> None:
        plan = self._plan
        bus = lab_file.Process("bus", "bus", self._bus.process.pid if self._bus.process is not None else 0)
        processes = [bus, *(self._as_process(keeper) for keeper in self._keepers)]
        trunks = [f"{HOST}:{plan.sip(number)}" for number in range(1, plan.tas + 1)]
        lab = lab_file.LabFile(os.getpid(), self._secrets.operator_token, processes, f"{HOST}:{plan.bus_port}", trunks)
        lab_file.write(plan.var, lab)

    async def stop(self) -> None:
        """Stop everything: TAS nodes first, the bus last."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for role in ("tas", "media", "broker"):
            await asyncio.gather(*(keeper.stop() for keeper in self._keepers if keeper.child.role == role))
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
        print(f"tasctl: {plan.configs}: no {', '.join(missing)}", file=sys.stderr)
        return 2
    running = lab_file.read(plan.var)
    if running is not None and _is_lab(running.supervisor):
        print(
            f"tasctl: a lab runs on {plan.var}/ already (pid {running.supervisor}); LAB_VAR names another folder, "
            "LAB_PORT_BASE other ports",
            file=sys.stderr,
        )
        return 2
    return asyncio.run(_run(plan))


def _is_lab(pid: int) -> bool:
    try:
        return b"tasctl" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


async def _run(plan: LabPlan) -> int:
    loop = asyncio.get_running_loop()
    began = loop.time()
    plan.var.mkdir(parents=True, exist_ok=True)
    plan = replace(plan, trunks_file=_absolute(prepare_trunks(plan)))
    secrets = prepare_secrets(plan.var.resolve())
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    counts = f"{plan.brokers} agent broker(s), {plan.media} media server(s), {plan.tas} TAS node(s)"
    say(f"starting the bus, {counts}; logs: {plan.var / 'log'}/")
    lab = Lab(plan, secrets)
    try:
        starting = loop.create_task(lab.start())
        await _first(starting, loop.create_task(stop.wait()))
        if not stop.is_set():
            starting.result()
            brokers = [plan.url("broker", number) for number in range(1, plan.brokers + 1)]
            leader = await asyncio.to_thread(leading, brokers, secrets.operator_token)
            say(guide(plan, secrets, prepare_phone(plan), leader, loop.time() - began))
            await _first(loop.create_task(stop.wait()), loop.create_task(lab.failed.wait()))
    except (StartFailed, EmbeddedBusError) as error:
        say(f"the lab did not start: {error}")
        return 1
    except TimeoutError:
        say(f"the lab was not ready within {READY_TIMEOUT_S:.0f} s; see {plan.var / 'log'}/")
        return 1
    finally:
        say("stopping")
        await lab.stop()
        say("stopped")
    return 1 if lab.failed.is_set() else 0


async def _first(*tasks: asyncio.Task[Any]) -> None:
    """Wait for the first of several and cancel the others."""
    _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.resolve()
