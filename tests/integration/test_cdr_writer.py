"""CDRs in a real database, also when it goes away and comes back: each row once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from common.service.store.aio.engine import make_engine, migrate
from common.service.store.schema import cdr
from tas.cdr import aio
from tas.cdr.aio import CdrWriter
from tas.cdr.model import CdrRow
from tests.integration.support.postgres import Postgres

RETRY_S = 0.2


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aio, "RETRY_S", RETRY_S)


@pytest.fixture
async def engine(store_url: str) -> AsyncIterator[AsyncEngine]:
    """The migrated store."""
    engine = make_engine(store_url)
    await migrate(engine)
    yield engine
    await engine.dispose()


def row(number: int, *, caller: str = "+46 8#*") -> CdrRow:
    return CdrRow(
        call_uid=f"tas-1-{number:x}-00",
        node="tas-1",
        direction="in",
        caller=caller,
        called="8000",
        trunk="pbx",
        queue="support",
        agent="1001",
        started_at=1_790_000_000.125,
        queued_at=1_790_000_000.25,
        answered_at=None,
        ended_at=1_790_000_010.5,
        wait_s=10.25,
        ring_s=0.0,
        talk_s=0.0,
        result="abandoned",
        reason="caller_hangup",
        sip_cause=200,
        q850_cause=16,
        media_server="media-1",
        codec_a="PCMA",
        codec_b="",
        packets_lost=2**33,
    )


async def rows_in(engine: AsyncEngine) -> list[CdrRow]:
    async with engine.connect() as connection:
        found = (await connection.execute(select(cdr).order_by(cdr.c.call_uid))).mappings().all()
    return [CdrRow(**values) for values in found]


async def until_count(engine: AsyncEngine, count: int) -> None:
    async with asyncio.timeout(30):
        while True:
            async with engine.connect() as connection:
                if (await connection.execute(select(func.count()).select_from(cdr))).scalar_one() >= count:
                    return
            await asyncio.sleep(0.02)


async def test_rows_are_stored_as_they_are(engine: AsyncEngine, tmp_path: Path) -> None:
    writer = CdrWriter(engine, tmp_path / "spool.jsonl")
    writer.start()
    rows = [row(number) for number in range(450)]
    for each in rows:
        writer.add(each)
    await writer.stop()
    assert await rows_in(engine) == sorted(rows, key=lambda each: each.call_uid)
    assert (writer.written, writer.spooled, writer.lost) == (450, 0, 0)


async def test_row_written_twice_stays_one_and_unchanged(engine: AsyncEngine, tmp_path: Path) -> None:
    writer = CdrWriter(engine, tmp_path / "spool.jsonl")
    writer.start()
    writer.add(row(1, caller="first"))
    await until_count(engine, 1)
    writer.add(row(1, caller="second"))
    writer.add(row(2))
    await writer.stop()
    assert [each.caller for each in await rows_in(engine)] == ["first", "+46 8#*"]


async def test_database_that_goes_away_and_comes_back_has_every_row_once(
    cluster: Postgres, postgres_url: str, tmp_path: Path
) -> None:
    spool = tmp_path / "spool.jsonl"
    engine = make_engine(postgres_url)
    await migrate(engine)
    writer = CdrWriter(engine, spool)
    writer.start()
    rows = [row(number) for number in range(60)]
    try:
        for each in rows[:20]:
            writer.add(each)
        await until_count(engine, 20)
        await asyncio.to_thread(cluster.stop)
        try:
            for each in rows[20:40]:
                writer.add(each)
            async with asyncio.timeout(30):
                while writer.spooled < 20:  # noqa: ASYNC110 - the writer has its own clock
                    await asyncio.sleep(0.02)
            assert len(spool.read_bytes().splitlines()) == 20
        finally:
            starting = asyncio.create_task(asyncio.to_thread(cluster.start))
        for each in rows[40:]:  # while the database starts up, which refuses in another way than one that is down
            writer.add(each)
            await asyncio.sleep(0.02)
        await starting
        await until_count(engine, 60)
        await writer.stop()
        assert await rows_in(engine) == sorted(rows, key=lambda each: each.call_uid)
        assert writer.lost == 0
        assert not spool.exists()
    finally:
        await engine.dispose()


async def test_spool_of_a_former_life_is_written_at_start(engine: AsyncEngine, tmp_path: Path) -> None:
    spool = tmp_path / "spool.jsonl"
    old = [row(1), row(2)]
    spool.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in old) + b'{"call_uid": "torn')
    writer = CdrWriter(engine, spool)
    writer.start()
    await until_count(engine, 2)
    await writer.stop()
    assert await rows_in(engine) == old
    assert not spool.exists()


async def test_database_that_refuses_the_password_lets_rows_go_to_the_spool(
    cluster: Postgres, postgres_url: str, tmp_path: Path
) -> None:
    spool = tmp_path / "spool.jsonl"
    engine = make_engine(postgres_url.replace(cluster.password, "wrong"))
    writer = CdrWriter(engine, spool)
    writer.start()
    writer.add(row(1))
    await writer.stop()
    await engine.dispose()
    assert [msgspec.json.decode(line, type=CdrRow) for line in spool.read_bytes().splitlines()] == [row(1)]


async def test_database_host_that_says_nothing_does_not_hold_rows_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("common.service.store.aio.engine.CONNECT_TIMEOUT_S", 0.2)
    silent = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    host, port = silent.sockets[0].getsockname()
    spool = tmp_path / "spool.jsonl"
    engine = make_engine(f"postgresql://opentas:x@{host}:{port}/opentas")
    writer = CdrWriter(engine, spool)
    writer.start()
    writer.add(row(1))
    async with asyncio.timeout(10):
        await writer.stop()
    await engine.dispose()
    silent.close()
    assert len(spool.read_bytes().splitlines()) == 1
