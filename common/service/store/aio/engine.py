"""The store's engine and its migration to the newest schema."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, event, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from common.service.config import ConfigError
from common.service.urls import STORE_FORMS, sqlite_path

MIGRATIONS: Final = Path(__file__).resolve().parents[1] / "migrations"
SQLITE_BUSY_TIMEOUT_MS: Final = 5000
CONNECT_TIMEOUT_S: Final = 5.0
COMMAND_TIMEOUT_S: Final = 15.0
"""A database host that is cut off answers nothing at all: then CDRs are to go to the spool, not to wait for minutes."""
POSTGRES_LOCK: Final = 7_020_001
"""Advisory lock that lets one process at a time migrate."""


def make_engine(url: str) -> AsyncEngine:
    """An engine for `sqlite:///path` or `postgresql://…`; raises ValueError for another form, ConfigError for a folder
    that cannot be made."""
    path = sqlite_path(url)
    if path is not None:
        return _make_sqlite(path)
    try:
        return create_async_engine(
            f"postgresql+asyncpg://{url.partition('://')[2]}",
            pool_size=2,
            max_overflow=2,
            pool_pre_ping=True,
            connect_args={"timeout": CONNECT_TIMEOUT_S, "command_timeout": COMMAND_TIMEOUT_S},
        )
    except (ValueError, SQLAlchemyError) as error:  # its text may hold the password
        raise ConfigError(f"store.url: must be {STORE_FORMS}") from error


def _make_sqlite(path: Path) -> AsyncEngine:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"store.url: {path.parent}: {error.strerror}") from error
    url = URL.create("sqlite+aiosqlite", database=str(path))
    engine = create_async_engine(url, pool_size=1, max_overflow=1)
    event.listen(engine.sync_engine, "connect", _tune_sqlite)
    return engine


def _tune_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={SQLITE_BUSY_TIMEOUT_MS}")
    with contextlib.suppress(sqlite3.OperationalError):  # locked: another process is switching the file this moment
        cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


async def migrate(engine: AsyncEngine) -> None:
    """Bring the schema up to date in one transaction; several processes may do so at once."""
    async with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({POSTGRES_LOCK})"))
        else:
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
        await connection.run_sync(_upgrade)
        await connection.commit()


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def migrate_when_reachable(engine: AsyncEngine, retry_s: float, waiting: Callable[[Exception], None]) -> None:
    """Migrate as soon as the database answers; `waiting(error)` is called after each failed try."""
    while True:
        try:
            await migrate(engine)
        except Exception as error:  # whatever it is (network, password, rights): said, and tried again
            waiting(error)
            await asyncio.sleep(retry_s)
        else:
            return
