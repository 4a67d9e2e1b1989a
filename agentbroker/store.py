"""The broker's rows: lease, placement and agent activity, each written under the lease."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import TextClause, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from agentbroker.acd.logons import Remembered
from agentbroker.election import Row
from common.contracts.agents import AgentState
from common.service.store.schema import lease

LEASE_NAME: Final = "broker"
AGENTS_A_QUERY: Final = 1000
"""Agents asked for in one statement: both databases end at about 32,000 parameters."""

_LEASE_IS_OURS = "EXISTS (SELECT 1 FROM lease WHERE name = 'broker' AND holder = :holder AND epoch = :epoch)"

_PLACE = text(
    "INSERT INTO placement (agent, node, epoch, version) "
    "SELECT CAST(:agent AS VARCHAR(64)), CAST(:node AS VARCHAR(32)), CAST(:epoch AS BIGINT), 1 "
    f"WHERE {_LEASE_IS_OURS} "
    "ON CONFLICT (agent) DO UPDATE SET node = excluded.node, epoch = excluded.epoch, version = placement.version + 1 "
    "WHERE placement.epoch <= excluded.epoch"
)
"""One statement checks the lease and writes: a deposed leader changes nothing."""

_ACTIVITY = text(
    "INSERT INTO agent_activity (agent, at, state, reason, origin, call_uid) "
    "SELECT CAST(:agent AS VARCHAR(64)), CAST(:at AS DOUBLE PRECISION), CAST(:state AS VARCHAR(16)), "
    "CAST(:reason AS VARCHAR(32)), CAST(:origin AS VARCHAR(16)), CAST(:call_uid AS VARCHAR(80)) "
    f"WHERE {_LEASE_IS_OURS}"
)

_NEWEST = (
    "WITH wanted (agent) AS (VALUES {rows}) "
    "SELECT agent, state, reason, origin FROM agent_activity WHERE id IN ("
    "SELECT (SELECT id FROM agent_activity earlier WHERE earlier.agent = wanted.agent "
    "AND earlier.state IN ('Ready', 'NotReady', 'LoggedOut') ORDER BY id DESC LIMIT 1) FROM wanted)"
)
"""Of each agent the last state that was no call's."""


class BrokerStore:
    """Reads and writes; every method may raise SQLAlchemyError or OSError when the store is away."""

    def __init__(self, engine: AsyncEngine, me: str) -> None:
        self._engine = engine
        self._me = me

    async def read_lease(self) -> Row | None:
        """The lease row, None when nobody ever led."""
        async with self._engine.connect() as connection:
            query = select(lease.c.holder, lease.c.epoch, lease.c.renewed).where(lease.c.name == LEASE_NAME)
            found = (await connection.execute(query)).first()
        return None if found is None else Row(found.holder, found.epoch, found.renewed)

    async def take_lease(self, seen: Row | None) -> int:
        """Compare-and-set on what was seen; the new epoch, or 0 when another was quicker."""
        async with self._engine.begin() as connection:
            if seen is None:
                try:
                    await connection.execute(
                        lease.insert().values(name=LEASE_NAME, holder=self._me, epoch=1, renewed=0)
                    )
                except IntegrityError:
                    return 0
                return 1
            mine = (
                update(lease)
                .where(lease.c.name == LEASE_NAME, lease.c.epoch == seen.epoch, lease.c.renewed == seen.renewed)
                .values(holder=self._me, epoch=seen.epoch + 1, renewed=0)
            )
            done = await connection.execute(mine)
            return seen.epoch + 1 if done.rowcount == 1 else 0

    async def renew_lease(self, epoch: int) -> bool:
        """Count the renewal; False when the lease is no longer ours."""
        async with self._engine.begin() as connection:
            mine = (
                update(lease)
                .where(lease.c.name == LEASE_NAME, lease.c.holder == self._me, lease.c.epoch == epoch)
                .values(renewed=lease.c.renewed + 1)
            )
            return (await connection.execute(mine)).rowcount == 1

    async def write(self, placements: dict[str, str], activity: list[dict[str, object]], epoch: int) -> None:
        """Write placements and activity rows, or nothing when the lease is no longer ours."""
        fence = {"epoch": epoch, "holder": self._me}
        async with self._engine.begin() as connection:
            if placements:
                rows = [{"agent": agent, "node": node, **fence} for agent, node in placements.items()]
                await connection.execute(_PLACE, rows)
            if activity:
                await connection.execute(_ACTIVITY, [{**row, **fence} for row in activity])

    async def last_states(self, agents: Iterable[str]) -> dict[str, Remembered]:
        """Ready or NotReady of each agent as last written, for a new leader; a call in between changes neither.

        One look into the index for each agent: a takeover must not read the activity of years.
        """
        wanted = list(agents)
        states: dict[str, Remembered] = {}
        async with self._engine.connect() as connection:
            for start in range(0, len(wanted), AGENTS_A_QUERY):
                for row in await connection.execute(_newest(wanted[start : start + AGENTS_A_QUERY])):
                    if row.state != AgentState.LOGGED_OUT:
                        states[row.agent] = (AgentState(row.state), row.reason, row.origin)
        return states


def _newest(agents: list[str]) -> TextClause:
    names = {f"agent_{number}": agent for number, agent in enumerate(agents)}
    rows = ", ".join(f"(CAST(:{name} AS VARCHAR(64)))" for name in names)
    return text(_NEWEST.format(rows=rows)).bindparams(**names)
