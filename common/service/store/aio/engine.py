"""The store's engine and its migration to the newest schema."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, event, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

MIGRATIONS: Final = Path(__file__).resolve().parents[1] / "migrations"
SQLITE_BUSY_TIMEOUT_MS: Final = 5000
POSTGRES_LOCK: Final = 7_020_001
"""Advisory lock that lets one process at a time migrate."""


def make_engine(url: str) -> AsyncEngine:
    """An engine for `sqlite:///path` or `postgresql://…`; raises ValueError for another scheme."""
    scheme, separator, rest = url.partition("://")
    if scheme == "sqlite" and separator:
        path = Path(rest.removeprefix("/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        engine = create_async_engine(f"sqlite+aiosqlite:///{path}", pool_size=1, max_overflow=1)
        event.listen(engine.sync_engine, "connect", _tune_sqlite)
        return engine
    if scheme in ("postgresql", "postgres") and separator:
        return create_async_engine(f"postgresql+asyncpg://{rest}", pool_size=2, max_overflow=2, pool_pre_ping=True)
    raise ValueError("store url must be sqlite:///path/to/file or postgresql://user:password@host/database")


def _tune_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute(f"PRAGMA busy_timeout={SQLITE_BUSY_TIMEOUT_MS}")
    cursor.close()


async def migrate(engine: AsyncEngine) -> None:
    """Bring the schema up to date; several processes may do so at once."""
    async with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text(f"SELECT pg_advisory_lock({POSTGRES_LOCK})"))
            try:
                await connection.run_sync(_upgrade)
                await connection.commit()
            finally:
                await connection.execute(text(f"SELECT pg_advisory_unlock({POSTGRES_LOCK})"))
        else:
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
            await connection.run_sync(_upgrade)
            await connection.commit()


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def migrate_when_reachable(engine: AsyncEngine, retry_s: float, waiting: Any) -> None:
    """Migrate as soon as the database answers; `waiting(error)` is called after each failed try."""
    while True:
        try:
            await migrate(engine)
        except Exception as error:
            if isinstance(error, asyncio.CancelledError):
                raise
            waiting(error)
            await asyncio.sleep(retry_s)
        else:
            return
