"""One child of the lab: its log, its end, and what happens when it does not end."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tasctl.lab import keeper as keeper_module
from tasctl.lab.keeper import LOG_TAIL_LINES, Keeper, say
from tasctl.lab.plan import Child

DEAF = "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); print('up', flush=True); signal.pause()"


def child(program: str, **environment: str) -> Child:
    return Child("tas-1", "tas", [sys.executable, "-c", program], environment, "http://127.0.0.1:1", Path("tas.toml"))


async def until_up(keeper: Keeper) -> None:
    async with asyncio.timeout(30):
        while "up" not in keeper.log.read_text():  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.01)


async def test_output_and_error_go_to_the_log_and_the_end_is_told(tmp_path: Path) -> None:
    program = "import os, sys; print(os.environ['X']); print('bad key', file=sys.stderr); sys.exit(3)"
    keeper = Keeper(child(program, X="said"), tmp_path)
    assert keeper.pid == 0
    await keeper.start()
    assert keeper.pid > 0
    assert await keeper.ended() == 3
    assert sorted(keeper.tail().split("\n")) == ["    bad key", "    said"]
    await keeper.stop(asyncio.Event())


async def test_log_of_the_lab_before_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "tas-1.log").write_text("Traceback of last week\n")
    keeper = Keeper(child("print('up')"), tmp_path)
    await keeper.start()
    await keeper.ended()
    assert keeper.tail() == "    up"
    assert (tmp_path / "tas-1.log.old").read_text() == "Traceback of last week\n"


async def test_tail_of_a_long_log_is_its_end(tmp_path: Path) -> None:
    keeper = Keeper(child("for n in range(5000): print('line', n)"), tmp_path)
    await keeper.start()
    await keeper.ended()
    lines = keeper.tail().split("\n")
    assert (len(lines), lines[-1]) == (LOG_TAIL_LINES, "    line 4999")


async def test_child_that_ends_on_sigint_is_not_killed(tmp_path: Path) -> None:
    program = "import signal\ntry:\n print('up', flush=True); signal.pause()\nexcept KeyboardInterrupt:\n print('end')"
    keeper = Keeper(child(program), tmp_path)
    await keeper.start()
    await until_up(keeper)
    await keeper.stop(asyncio.Event())
    assert keeper.tail().endswith("end")
    assert await keeper.ended() == 0


async def test_child_that_does_not_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(keeper_module, "STOP_TIMEOUT_S", 0.05)
    keeper = Keeper(child(DEAF), tmp_path)
    await keeper.start()
    await until_up(keeper)
    await keeper.stop(asyncio.Event())
    assert await keeper.ended() == -9
    assert capsys.readouterr().out == "tas-1: does not stop, killed\n"


async def test_who_is_in_a_hurry_does_not_wait_for_a_deaf_child(tmp_path: Path) -> None:
    keeper = Keeper(child(DEAF), tmp_path)
    await keeper.start()
    await until_up(keeper)
    hurry = asyncio.Event()
    stopping = asyncio.create_task(keeper.stop(hurry))
    await asyncio.sleep(0)
    hurry.set()
    async with asyncio.timeout(keeper_module.STOP_TIMEOUT_S / 2):
        await stopping
    assert await keeper.ended() == -9
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_saying_to_a_closed_terminal_is_no_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    closed = (tmp_path / "out").open("w")
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    say("stopping")
