"""The broker's rows in a real SQLite file, made by the real migrations; two brokers on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from agentbroker.store import AGENTS_A_QUERY, BrokerStore
from common.contracts.agents import AgentState
from common.service.store.aio.engine import make_engine, migrate
from common.service.store.schema import agent_activity, placement


@pytest.fixture
async def sql(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    engine = make_engine(f"sqlite:///{tmp_path}/store.sqlite")
    await migrate(engine)
    yield engine
    await engine.dispose()


def row(agent: str, state: str, reason: str = "", call_uid: str = "") -> dict[str, object]:
    return {"agent": agent, "at": 1.25, "state": state, "reason": reason, "origin": "agent", "call_uid": call_uid}


async def rows(sql: AsyncEngine) -> tuple[list[tuple[str, str, int, int]], list[tuple[str, float, str]]]:
    """(placements, activity) as written."""
    placed = select(placement.c.agent, placement.c.node, placement.c.epoch, placement.c.version).order_by("agent")
    activity = select(agent_activity.c.agent, agent_activity.c.at, agent_activity.c.state).order_by("id")
    async with sql.connect() as connection:
        found = [[tuple(line) for line in await connection.execute(query)] for query in (placed, activity)]
    return found[0], found[1]  # type: ignore[return-value]


async def test_first_lease_has_epoch_1_and_one_holder(sql: AsyncEngine) -> None:
    one, two = BrokerStore(sql, "broker-1"), BrokerStore(sql, "broker-2")
    assert await one.read_lease() is None
    assert (await one.take_lease(None), await two.take_lease(None)) == (1, 0)
    seen = await two.read_lease()
    assert seen is not None
    assert (seen.holder, seen.epoch, seen.renewed) == ("broker-1", 1, 0)


async def test_lease_that_was_renewed_since_it_was_seen_is_not_taken(sql: AsyncEngine) -> None:
    one, two = BrokerStore(sql, "broker-1"), BrokerStore(sql, "broker-2")
    await one.take_lease(None)
    seen = await two.read_lease()
    assert await one.renew_lease(1)
    assert await two.take_lease(seen) == 0
    assert await two.take_lease(await two.read_lease()) == 2
    assert not await one.renew_lease(1), "deposed"


async def test_epoch_grows_with_every_holder_and_never_comes_back(sql: AsyncEngine) -> None:
    stores = [BrokerStore(sql, f"broker-{number}") for number in (1, 2)]
    epochs = [await stores[turn % 2].take_lease(await stores[turn % 2].read_lease()) for turn in range(5)]
    assert epochs == [1, 2, 3, 4, 5]


async def test_leader_writes_placements_and_activity(sql: AsyncEngine) -> None:
    store = BrokerStore(sql, "broker-1")
    await store.take_lease(None)
    await store.write({"1001": "tas-1"}, [row("1001", "Ready"), row("1001", "Talking", call_uid="tas-1-1-0")], 1)
    await store.write({"1001": "tas-2"}, [], 1)
    assert await rows(sql) == ([("1001", "tas-2", 1, 2)], [("1001", 1.25, "Ready"), ("1001", 1.25, "Talking")])


async def test_deposed_leader_writes_nothing(sql: AsyncEngine) -> None:
    old, new = BrokerStore(sql, "broker-1"), BrokerStore(sql, "broker-2")
    await old.take_lease(None)
    await old.write({"1001": "tas-1"}, [], 1)
    await new.take_lease(await new.read_lease())
    before = await rows(sql)
    await old.write({"1001": "tas-9", "1002": "tas-9"}, [row("1001", "Ready")], 1)
    assert await rows(sql) == before
    await new.write({"1001": "tas-2"}, [row("1001", "NotReady")], 2)
    assert await rows(sql) == ([("1001", "tas-2", 2, 2)], [("1001", 1.25, "NotReady")])


async def test_holder_of_the_name_with_an_old_epoch_writes_nothing(sql: AsyncEngine) -> None:
    store = BrokerStore(sql, "broker-1")
    await store.take_lease(None)
    await store.take_lease(await store.read_lease())
    await store.write({"1001": "tas-1"}, [row("1001", "Ready")], 1)
    assert await rows(sql) == ([], [])


async def test_last_states_are_those_at_rest_and_not_of_who_logged_out(sql: AsyncEngine) -> None:
    store = BrokerStore(sql, "broker-1")
    await store.take_lease(None)
    history = [
        row("1001", "NotReady", "5"), row("1001", "Ringing"), row("1001", "Talking"),
        row("1002", "NotReady", "5"), row("1002", "Ready"), row("1002", "WrapUp"),
        row("1003", "Ready"), row("1003", "LoggedOut"),
        row("1004", "Ready"),
    ]  # fmt: skip
    await store.write({}, history, 1)
    assert await store.last_states(["1001", "1002", "1003", "1005"]) == {
        "1001": (AgentState.NOT_READY, "5", "agent"),
        "1002": (AgentState.READY, "", "agent"),
    }
    assert await store.last_states([]) == {}


async def test_last_states_of_more_agents_than_one_statement_asks_for(sql: AsyncEngine) -> None:
    store = BrokerStore(sql, "broker-1")
    await store.take_lease(None)
    agents = [str(number) for number in range(AGENTS_A_QUERY + 1)]
    await store.write({}, [row(agent, "Ready") for agent in agents], 1)
    assert set(await store.last_states(agents)) == set(agents)
