"""The broker's rows: lease, placement and agent activity, each written under the lease."""

from __future__ import annotations

from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from agentbroker.acd.logons import Remembered
from agentbroker.election import Row
from common.contracts.agents import AgentState
from common.service.store.schema import agent_activity, lease

LEASE_NAME = "broker"

_PLACE = text(
    "INSERT INTO placement (agent, node, epoch, version) "
    "SELECT CAST(:agent AS VARCHAR(64)), CAST(:node AS VARCHAR(32)), CAST(:epoch AS BIGINT), 1 "
    "WHERE EXISTS (SELECT 1 FROM lease WHERE name = 'broker' AND holder = :holder AND epoch = :epoch) "
    "ON CONFLICT (agent) DO UPDATE SET node = excluded.node, epoch = excluded.epoch, version = placement.version + 1 "
    "WHERE placement.epoch <= excluded.epoch"
)
"""One statement checks the lease and writes: a deposed leader changes nothing."""


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
        """Write placements and activity rows."""
        async with self._engine.begin() as connection:
            if placements:
                rows = [
                    {"agent": agent, "node": node, "epoch": epoch, "holder": self._me}
                    for agent, node in placements.items()
                ]
                await connection.execute(_PLACE, rows)
            if activity:
                await connection.execute(agent_activity.insert(), activity)

    async def last_states(self) -> dict[str, Remembered]:
        """Ready or NotReady of each agent as last written, for a new leader."""
        last = select(func.max(agent_activity.c.id)).group_by(agent_activity.c.agent)
        query = select(
            agent_activity.c.agent, agent_activity.c.state, agent_activity.c.reason, agent_activity.c.origin
        ).where(agent_activity.c.id.in_(last))
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        kept = (AgentState.READY, AgentState.NOT_READY)
        return {row.agent: (AgentState(row.state), row.reason, row.origin) for row in rows if row.state in kept}
