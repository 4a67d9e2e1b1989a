"""The broker process: what it waits for, what it says, what it leaves when it stops."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog
from sqlalchemy import select
from structlog.typing import EventDict

from agentbroker.app import BrokerProcess
from agentbroker.config import BrokerConfig, BrokerSettings
from common.contracts.calls import PhoneRegistered
from common.service.aio.lifecycle import Lifecycle
from common.service.store.aio.engine import make_engine
from common.service.store.schema import agent_activity, lease, placement
from tests.unit.agentbroker.acd.support import phone
from tests.unit.agentbroker.support import make_config

NOBODY = "127.0.0.1:9"
"""The discard port: nothing listens there."""
PATIENCE_S = 20.0


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """The process sets the collector up for itself; other tests get theirs back."""
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.fixture
def logged() -> Iterator[list[EventDict]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def config(store: str, port: int) -> BrokerConfig:
    made = make_config()
    made.settings = BrokerSettings(
        bus={"url": f"mqtt://{NOBODY}"},  # type: ignore[arg-type]
        store={"url": store},  # type: ignore[arg-type]
        http={"port": port},  # type: ignore[arg-type]
    )
    return made


async def turn() -> None:
    """Let the loop and its sockets go on for a moment."""
    await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until something is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await turn()


@asynccontextmanager
async def running(config: BrokerConfig) -> AsyncIterator[tuple[BrokerProcess, Lifecycle]]:
    """A process that is stopped in the end, orderly, with exit code 0 and no task left."""
    lifecycle = Lifecycle()
    process = BrokerProcess(config, lifecycle)
    before = asyncio.all_tasks()
    main = asyncio.ensure_future(process.main())
    yield process, lifecycle
    lifecycle.on_terminate()
    async with asyncio.timeout(PATIENCE_S):
        assert await main == 0
    await until(lambda: asyncio.all_tasks() <= before)


async def get(port: int, path: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.json()


async def test_start_without_bus_and_store_waits_and_says_for_what(logged: list[EventDict]) -> None:
    port = free_port()

    def said(text: str) -> list[EventDict]:
        return [line for line in logged if line["event"].startswith(text)]

    async with running(config(f"postgresql://u:p@{NOBODY}/opentas", port)) as (process, _):
        await until(lambda: bool(said("started") and said("store not reachable") and said("bus not reachable")))
        assert await get(port, "/readyz") == (503, {"waiting_for": ["bus", "store"], "draining": False})
        assert await get(port, "/healthz") == (200, {"status": "ok"})
        assert not process.health().ready
    assert said("bus not reachable")[0]["address"] == NOBODY
    assert len(said("store not reachable")) == 1, "said once, not at every try"


async def test_store_alone_makes_a_leader_who_still_waits_for_the_bus(tmp_path: Path, logged: list[EventDict]) -> None:
    async with running(config(f"sqlite:///{tmp_path}/s.sqlite", free_port())) as (process, lifecycle):
        await until(lambda: any(line["event"] == "leads" for line in logged))
        assert process.health().waiting_for == ["bus"]
        lifecycle.draining.set()
        assert process.health().draining


async def test_stop_writes_what_is_not_written_yet(tmp_path: Path, logged: list[EventDict]) -> None:
    url = f"sqlite:///{tmp_path}/s.sqlite"
    async with running(config(url, free_port())) as (process, _):
        await until(lambda: any(line["event"] == "leads" for line in logged))
        engine = process._broker.engine
        engine.set_nodes({"tas-1"}, 0.0)
        engine.receive_event("tas-1", PhoneRegistered(phone("1001")), 0.0)
        process._turn()
    sql = make_engine(url)
    async with sql.connect() as connection:
        activity = (await connection.execute(select(agent_activity.c.agent, agent_activity.c.state))).all()
        placed = (await connection.execute(select(placement.c.agent, placement.c.node))).all()
        held = (await connection.execute(select(lease.c.holder, lease.c.epoch))).all()
    await sql.dispose()
    assert [tuple(row) for row in activity] == [("1001", "Ready")]
    assert [tuple(row) for row in placed] == [("1001", "tas-1")]
    assert [tuple(row) for row in held] == [("broker-1", 1)]


async def test_rows_of_a_deposed_leader_are_dropped(tmp_path: Path, logged: list[EventDict]) -> None:
    async with running(config(f"sqlite:///{tmp_path}/s.sqlite", free_port())) as (process, _):
        await until(lambda: any(line["event"] == "leads" for line in logged))
        engine = process._broker.engine
        engine.set_nodes({"tas-1"}, 0.0)
        engine.receive_event("tas-1", PhoneRegistered(phone("1001")), 0.0)
        process._turn()
        assert (len(process._activity), len(process._placements)) == (1, 1)
        process._election.step_down()
        process._turn()
        assert (process._activity, process._placements) == ([], {})


async def test_port_that_is_taken_ends_the_start_with_a_word(tmp_path: Path, logged: list[EventDict]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = BrokerProcess(config(f"sqlite:///{tmp_path}/s.sqlite", port), Lifecycle())
        assert await process.main() == 1
    assert [line["event"] for line in logged] == ["cannot listen"]
    assert str(port) in logged[0]["error"]
