"""A lab on a site's own bus and store: mosquitto and PostgreSQL, and what happens when either goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from loadtest.agents import Phones
from tests.integration.support.brokers import Mosquitto
from tests.integration.support.postgres import Postgres
from tests.system.support import sipp
from tests.system.support.lab import Lab, copy_configs, wait_for
from tests.system.support.sipp import Sipp

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not sipp.installed(), reason="sipp is not installed (make setup installs sip-tester)"),
    pytest.mark.skipif(bool(Mosquitto.missing()), reason=Mosquitto.missing()),
]

AGENT = "1001"
ECHO = "9196"


@contextmanager
def own_lab(folder: Path, monkeypatch: pytest.MonkeyPatch, bus: str, store: str) -> Iterator[Lab]:
    """A small lab on that bus and that store."""
    monkeypatch.setenv("LAB_BUS_URL", bus)
    monkeypatch.setenv("LAB_STORE_URL", store)
    configs = copy_configs(folder / "configs", {"queues.toml": {"wrapuptime = 5": "wrapuptime = 0.2"}})
    lab = Lab(folder / "var", tas=1, media=1, brokers=1, configs=configs)
    try:
        lab.start()
        yield lab
    finally:
        lab.stop()


@contextmanager
def agent_phone(lab: Lab, folder: Path) -> Iterator[None]:
    """One agent, registered, whose phone answers."""
    from loadtest.aio.lab import free_port

    phones = Phones(folder / "agents", [AGENT], lab.sip(1), free_port())
    phones.register()
    phone = phones.answer(timeout_s=300)
    try:
        lab.wait_agent(AGENT, "Ready", timeout_s=20)
        yield
    finally:
        phone.stop()


def make_call(lab: Lab, folder: Path, number: str = "8000") -> None:
    """One call, by default to the queue, that is answered and hung up."""
    caller = Sipp(folder, "uac_call.xml", lab.sip(1), host="127.0.0.2", number=number, extra=["-d", "1000"])
    counts = caller.run()
    assert (counts.successful, counts.failed) == (1, 0), caller.errors()


def cdrs(store: str) -> list[dict[str, Any]]:
    """Rows of the CDR table by time."""

    async def read() -> list[dict[str, Any]]:
        connection = await asyncpg.connect(store)
        try:
            return [dict(row) for row in await connection.fetch("SELECT * FROM cdr ORDER BY ended_at")]
        finally:
            await connection.close()

    return asyncio.run(read())


def is_ready(lab: Lab) -> bool:
    return lab.tasctl("status", "--json").returncode == 0


def wait_cdrs(store: str, count: int, timeout_s: float = 5.0) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = wait_for(
        lambda: rows if len(rows := cdrs(store)) >= count else None, timeout_s=timeout_s, what=f"{count} CDRs"
    )
    return found


def test_queued_call_on_mosquitto_leaves_its_cdr_in_postgresql_also_after_either_was_away(
    cluster: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = asyncio.run(cluster.create_database())
    with (
        asyncio.Runner() as runner,
        mosquitto(runner, tmp_path) as bus,
        own_lab(tmp_path, monkeypatch, bus.url, store) as lab,
        agent_phone(lab, tmp_path),
    ):
        assert "bus" not in lab.names("bus")
        assert lab.description["bus"] == bus.url.rpartition("@")[2]
        make_call(lab, tmp_path / "first")
        (row,) = wait_cdrs(store, 1)
        assert (row["result"], row["queue"], row["agent"], row["trunk"]) == ("answered", "support", AGENT, "pbx")
        assert row["answered_at"] <= row["ended_at"]

        runner.run(bus.kill())
        wait_for(lambda: not is_ready(lab), timeout_s=10, what="the loss of the bus is seen")
        runner.run(bus.start())
        wait_for(lambda: is_ready(lab), timeout_s=20, what="the lab ready again")
        lab.wait_agent(AGENT, "Ready", timeout_s=20)
        make_call(lab, tmp_path / "second")
        wait_cdrs(store, 2)

        cluster.stop()
        try:
            make_call(lab, tmp_path / "third", ECHO)  # without a store nobody leads, so no queue is served meanwhile
        finally:
            cluster.start()
        wait_cdrs(store, 3, timeout_s=20)
        wait_for(lambda: is_ready(lab), timeout_s=20, what="the lab ready again")
        lab.wait_agent(AGENT, "Ready", timeout_s=20)
        make_call(lab, tmp_path / "fourth")
        rows = wait_cdrs(store, 4)
    assert [(row["called"], row["result"], row["agent"]) for row in rows] == [
        ("8000", "answered", AGENT),
        ("8000", "answered", AGENT),
        (ECHO, "answered", ""),
        ("8000", "answered", AGENT),
    ]
    assert len({row["call_uid"] for row in rows}) == 4
    assert not (tmp_path / "var" / "opentas.sqlite").exists()
    assert not (tmp_path / "var" / "bus").exists()


@contextmanager
def mosquitto(runner: asyncio.Runner, folder: Path) -> Iterator[Mosquitto]:
    """Mosquitto on the runner's loop."""
    broker = Mosquitto(folder / "mosquitto")
    runner.run(broker.start())
    try:
        yield broker
    finally:
        runner.run(broker.stop())
