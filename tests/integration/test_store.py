"""The store on SQLite and on PostgreSQL: one history, one behaviour."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from agentbroker.election import Row
from agentbroker.store import BrokerStore
from common.contracts.agents import AgentState
from common.service.store.aio.engine import make_engine, migrate
from common.service.store.schema import agent_activity, lease, metadata, placement


@pytest.fixture
async def engine(store_url: str) -> AsyncIterator[AsyncEngine]:
    """The migrated store."""
    engine = make_engine(store_url)
    await migrate(engine)
    yield engine
    await engine.dispose()


@pytest.fixture
async def other_engine(engine: AsyncEngine, store_url: str) -> AsyncIterator[AsyncEngine]:
    """Another process's connections to the same store."""
    other = make_engine(store_url)
    yield other
    await other.dispose()


def shape(connection: Connection) -> dict[str, Any]:
    """Columns (name, kind, nullable), key and indexes of every table of ours."""
    inspector = inspect(connection)
    found = {}
    for name in inspector.get_table_names():
        columns = [
            (column["name"], column["type"].as_generic().__class__.__name__, column["nullable"])
            for column in inspector.get_columns(name)
        ]
        indexes = sorted(tuple(index["column_names"]) for index in inspector.get_indexes(name))
        found[name] = (columns, inspector.get_pk_constraint(name)["constrained_columns"], indexes)
    return found


async def test_history_leads_from_empty_to_the_tables_of_the_schema(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        found = await connection.run_sync(shape)
        revision = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one()
    assert revision == "0001"
    assert set(found) == {*metadata.tables, "alembic_version"}
    for name, table in metadata.tables.items():
        columns, key, indexes = found[name]
        assert [(column, nullable) for column, _, nullable in columns] == [
            (column.name, column.nullable) for column in table.columns
        ]
        assert key == [column.name for column in table.primary_key]
        assert indexes == sorted(tuple(column.name for column in index.columns) for index in table.indexes)


async def test_migrating_again_changes_nothing(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        before = await connection.run_sync(shape)
        await connection.execute(lease.insert().values(name="broker", holder="broker-1", epoch=4, renewed=9))
    await migrate(engine)
    async with engine.connect() as connection:
        assert await connection.run_sync(shape) == before
        assert (await connection.execute(select(lease.c.epoch))).scalar_one() == 4


async def test_processes_that_start_together_migrate_once(store_url: str) -> None:
    engines = [make_engine(store_url) for _ in range(4)]
    try:
        await asyncio.gather(*(migrate(engine) for engine in engines))
        async with engines[0].connect() as connection:
            rows = (await connection.execute(text("SELECT version_num FROM alembic_version"))).all()
    finally:
        for engine in engines:
            await engine.dispose()
    assert rows == [("0001",)]


async def test_lease_goes_to_one_of_two_who_try_at_once(engine: AsyncEngine, other_engine: AsyncEngine) -> None:
    stores = [BrokerStore(engine, "broker-1"), BrokerStore(other_engine, "broker-2")]
    assert [await store.read_lease() for store in stores] == [None, None]
    first = await asyncio.gather(*(store.take_lease(None) for store in stores))
    assert sorted(first) == [0, 1]
    seen = await stores[0].read_lease()
    assert seen is not None
    assert seen.holder == f"broker-{first.index(1) + 1}"
    for expected in range(2, 12):
        epochs = await asyncio.gather(*(store.take_lease(seen) for store in stores))
        assert sorted(epochs) == [0, expected]
        seen = await stores[0].read_lease()
        assert seen is not None
        assert (seen.holder, seen.epoch, seen.renewed) == (f"broker-{epochs.index(expected) + 1}", expected, 0)


async def test_renewal_counts_for_the_holder_only_and_defeats_who_saw_the_row_before(
    engine: AsyncEngine, other_engine: AsyncEngine
) -> None:
    holder, other = BrokerStore(engine, "broker-1"), BrokerStore(other_engine, "broker-2")
    assert await holder.take_lease(None) == 1
    seen = await other.read_lease()
    assert await holder.renew_lease(1)
    assert not await other.renew_lease(1)
    assert await other.take_lease(seen) == 0, "the lease was renewed after it was seen"
    seen = await other.read_lease()
    assert seen is not None
    assert (seen.holder, seen.epoch, seen.renewed) == ("broker-1", 1, 1)
    assert await other.take_lease(seen) == 2
    assert not await holder.renew_lease(1), "deposed"


async def placements(engine: AsyncEngine) -> dict[str, tuple[str, int, int]]:
    async with engine.connect() as connection:
        rows = (await connection.execute(select(placement))).all()
    return {row.agent: (row.node, row.epoch, row.version) for row in rows}


async def test_placement_is_written_under_the_lease_and_counts_its_versions(engine: AsyncEngine) -> None:
    store = BrokerStore(engine, "broker-1")
    await store.take_lease(None)
    await store.write({"1001": "tas-1", "+46 8#*": "tas-2"}, [], epoch=1)
    await store.write({"1001": "tas-2"}, [], epoch=1)
    assert await placements(engine) == {"1001": ("tas-2", 1, 2), "+46 8#*": ("tas-2", 1, 1)}


async def test_deposed_leader_places_nobody(engine: AsyncEngine, other_engine: AsyncEngine) -> None:
    old, new = BrokerStore(engine, "broker-1"), BrokerStore(other_engine, "broker-2")
    await old.take_lease(None)
    await old.write({"1001": "tas-1"}, [], epoch=1)
    assert await new.take_lease(await new.read_lease()) == 2
    await new.write({"1002": "tas-2"}, [], epoch=2)
    await old.write({"1001": "tas-9", "1002": "tas-9", "1003": "tas-9"}, [], epoch=1)
    assert await placements(engine) == {"1001": ("tas-1", 1, 1), "1002": ("tas-2", 2, 1)}
    await new.write({"1001": "tas-2"}, [], epoch=2)
    assert (await placements(engine))["1001"] == ("tas-2", 2, 2)


async def test_two_leaders_in_one_race_never_mix_epochs(engine: AsyncEngine, other_engine: AsyncEngine) -> None:
    """While the lease changes hands both write the same agents: each agent ends with the new leader or untouched."""
    old, new = BrokerStore(engine, "broker-1"), BrokerStore(other_engine, "broker-2")
    await old.take_lease(None)
    agents = [str(1000 + number) for number in range(50)]
    seen = await new.read_lease()

    async def take_over() -> None:
        assert await new.take_lease(seen) == 2
        await new.write(dict.fromkeys(agents, "tas-2"), [], epoch=2)

    async def hold_on() -> None:
        for _ in range(5):
            await old.write(dict.fromkeys(agents, "tas-1"), [], epoch=1)

    await asyncio.gather(hold_on(), take_over())
    assert {(node, epoch) for node, epoch, _ in (await placements(engine)).values()} == {("tas-2", 2)}


def activity(agent: str, state: AgentState, reason: str = "") -> dict[str, object]:
    return {"agent": agent, "at": 1.5, "state": state, "reason": reason, "origin": "agent", "call_uid": ""}


async def test_new_leader_remembers_the_last_ready_or_not_ready_of_each_agent(engine: AsyncEngine) -> None:
    store = BrokerStore(engine, "broker-1")
    rows = [
        activity("1001", AgentState.READY),
        activity("1001", AgentState.NOT_READY, "7"),
        activity("1002", AgentState.NOT_READY, "1"),
        activity("1002", AgentState.TALKING),
        activity("1003", AgentState.LOGGED_OUT),
    ]
    await store.take_lease(None)
    await store.write({}, rows, epoch=1)
    assert await store.last_states(["1001", "1002", "1003", "1004"]) == {
        "1001": (AgentState.NOT_READY, "7", "agent"),
        "1002": (AgentState.NOT_READY, "1", "agent"),
    }
    async with engine.connect() as connection:
        ids = (await connection.execute(select(agent_activity.c.id).order_by(agent_activity.c.id))).scalars().all()
    assert len(set(ids)) == len(rows)


async def test_row_type_tells_holder_epoch_and_renewals(engine: AsyncEngine) -> None:
    store = BrokerStore(engine, "broker-1")
    await store.take_lease(None)
    row = await store.read_lease()
    assert isinstance(row, Row)
    assert await store.renew_lease(row.epoch)
    renewed = await store.read_lease()
    assert renewed is not None
    assert renewed.renewed == row.renewed + 1
