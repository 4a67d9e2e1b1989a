"""The store's engine; what it does on real databases is in tests/integration/test_store.py."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import OperationalError

from common.service.config import ConfigError
from common.service.store.aio.engine import make_engine, migrate, migrate_when_reachable
from common.service.store.schema import metadata


@pytest.mark.parametrize(
    "url", ["", "opentas.sqlite", "sqlite:/x", "sqlite://", "sqlite:///", "mysql://h/d", "postgresql:h/d", "postgresql"]
)
def test_url_of_another_form_is_refused_with_the_right_ones(url: str) -> None:
    with pytest.raises(ValueError, match=r"sqlite:///path/to/file or postgresql://user:password@host/database"):
        make_engine(url)


def test_database_url_with_a_bad_part_is_refused_without_its_password() -> None:
    with pytest.raises(ConfigError, match="postgresql://user:password@host/database") as caught:
        make_engine("postgresql://u:geheim@h:port/d")
    assert "geheim" not in str(caught.value)


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=rf"^store\.url: {tmp_path}/file/var: Not a directory"):
        make_engine(f"sqlite:///{tmp_path}/file/var/opentas.sqlite")


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_postgresql_goes_by_asyncpg_and_keeps_its_parts(scheme: str) -> None:
    url = make_engine(f"{scheme}://user:p%40ss@db.example:5433/calls").url
    assert (url.drivername, url.username, url.password) == ("postgresql+asyncpg", "user", "p@ss")
    assert (url.host, url.port, url.database) == ("db.example", 5433, "calls")


async def test_sqlite_file_is_made_with_its_folder_and_migrated_from_empty(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "100%?.sqlite"
    engine = make_engine(f"sqlite:///{path}")
    await migrate(engine)
    await migrate(engine)
    async with engine.connect() as connection:
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        mode = (await connection.execute(text("PRAGMA journal_mode"))).scalar_one()
        version = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalars().all()
    await engine.dispose()
    assert set(tables) == {*metadata.tables, "alembic_version"}
    assert (mode, version) == ("wal", ["0001"])
    assert path.exists()


async def test_relative_path_is_one_of_the_working_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    engine = make_engine("sqlite:///var/opentas.sqlite")
    await migrate(engine)
    await engine.dispose()
    assert (tmp_path / "var" / "opentas.sqlite").exists()


async def test_store_that_is_away_is_said_each_time_and_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "store.sqlite"
    folder.mkdir()
    engine = make_engine(f"sqlite:///{folder}")
    failures: list[Exception] = []

    def waiting(error: Exception) -> None:
        failures.append(error)
        if len(failures) == 3:
            folder.rmdir()

    async with asyncio.timeout(10):
        await migrate_when_reachable(engine, 0.0, waiting)
    await engine.dispose()
    assert [type(failure) for failure in failures] == [OperationalError] * 3


async def test_failed_migration_leaves_the_file_as_it_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'store.sqlite'}")

    def half(connection: object) -> None:
        connection.execute(text("CREATE TABLE half (id INTEGER)"))  # type: ignore[attr-defined]
        raise ValueError("in the middle")

    monkeypatch.setattr("common.service.store.aio.engine._upgrade", half)
    with pytest.raises(ValueError, match="in the middle"):
        await migrate(engine)
    monkeypatch.undo()
    async with engine.connect() as connection:
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    await engine.dispose()
    assert tables == []
