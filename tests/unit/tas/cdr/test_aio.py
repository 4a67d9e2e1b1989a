"""The CDR writer on a real SQLite file: nothing lost, nothing twice, whichever of store and spool is away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import event, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from common.service.store.aio.engine import make_engine
from common.service.store.schema import cdr, metadata
from tas.cdr import aio, batch
from tas.cdr.aio import CdrWriter
from tas.cdr.batch import BATCH_ROWS
from tests.unit.tas.cdr.support import row

PATIENCE_S = 10.0
LOOK_AGAIN_S = 0.02


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "BATCH_DELAY_S", 0.01)
    monkeypatch.setattr(aio, "RETRY_S", 0.02)


class Store:
    """A SQLite file that is away until it comes back; `commits` counts transactions since then."""

    def __init__(self, path: Path) -> None:
        self.engine = make_engine(f"sqlite:///{path}")
        self.commits = 0
        self._changed = asyncio.Event()
        event.listen(self.engine.sync_engine, "commit", self._committed)

    def _committed(self, _connection: Any) -> None:
        self.commits += 1
        self._changed.set()

    async def come_back(self) -> None:
        async with self.engine.begin() as connection:
            if await connection.run_sync(lambda sync: inspect(sync).has_table("away")):
                await connection.execute(text("ALTER TABLE away RENAME TO cdr"))
            else:
                await connection.run_sync(metadata.create_all)
        self.commits = 0

    async def go_away(self) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(text("ALTER TABLE cdr RENAME TO away"))

    async def holds(self, count: int) -> None:
        """Wait until it has `count` rows."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                self._changed.clear()
                if len(await self.uids()) >= count:
                    return
                with contextlib.suppress(TimeoutError):  # the event comes just before the rows can be read
                    async with asyncio.timeout(LOOK_AGAIN_S):
                        await self._changed.wait()

    async def uids(self) -> list[str]:
        async with self.engine.connect() as connection:
            return list((await connection.execute(select(cdr.c.call_uid).order_by(cdr.c.call_uid))).scalars())

    async def one(self) -> dict[str, Any]:
        async with self.engine.connect() as connection:
            return dict((await connection.execute(select(cdr))).mappings().one())


@pytest.fixture
async def away(tmp_path: Path) -> AsyncIterator[Store]:
    """A store that does not take rows. Ends with the leak assertion: no task of a writer."""
    store = Store(tmp_path / "store.sqlite")
    yield store
    await store.engine.dispose()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "cdr"]


@pytest.fixture
async def store(away: Store) -> Store:
    await away.come_back()
    return away


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "var" / "spool.jsonl"


def writer_on(engine: AsyncEngine, spool: Path) -> CdrWriter:
    writer = CdrWriter(engine, spool)
    writer.start()
    return writer


def uids(*numbers: int) -> list[str]:
    return [row(number).call_uid for number in numbers]


def fill(spool: Path, *numbers: int, tail: bytes = b"") -> None:
    """What a former life left."""
    spool.parent.mkdir(exist_ok=True)
    spool.write_bytes(b"".join(msgspec.json.encode(row(number)) + b"\n" for number in numbers) + tail)


def block(spool: Path) -> None:
    spool.mkdir(parents=True)


def is_left(spool: Path) -> bool:
    return spool.exists()


def take_away(spool: Path) -> None:
    spool.unlink(missing_ok=True)


def spooled(spool: Path) -> list[str]:
    return [msgspec.json.decode(line)["call_uid"] for line in spool.read_bytes().splitlines()]


async def test_row_is_written_as_it_was_given(store: Store, spool: Path) -> None:
    writer = writer_on(store.engine, spool)
    writer.add(row())
    await store.holds(1)
    await writer.stop()
    assert await store.one() == msgspec.structs.asdict(row())
    assert (writer.written, writer.spooled, writer.lost) == (1, 0, 0)


async def test_rows_of_one_moment_are_one_transaction(store: Store, spool: Path) -> None:
    writer = writer_on(store.engine, spool)
    for number in range(BATCH_ROWS):
        writer.add(row(number))
    await store.holds(BATCH_ROWS)
    await writer.stop()
    assert store.commits == 1
    assert len(await store.uids()) == BATCH_ROWS


async def test_stop_writes_what_waits(store: Store, spool: Path) -> None:
    writer = writer_on(store.engine, spool)
    writer.add(row(1))
    await writer.stop()
    assert await store.uids() == uids(1)
    assert not is_left(spool)


async def test_stop_before_start_keeps_the_rows(store: Store, spool: Path) -> None:
    writer = CdrWriter(store.engine, spool)
    writer.add(row(1))
    await writer.stop()
    assert await store.uids() == uids(1)


async def test_same_call_twice_is_one_row_and_the_first_one_stays(store: Store, spool: Path) -> None:
    writer = writer_on(store.engine, spool)
    writer.add(row(1, talk_s=60.0))
    writer.add(row(1, talk_s=61.0))
    writer.add(row(2))
    await writer.stop()
    assert await store.uids() == uids(1, 2)


async def test_rows_go_to_the_spool_while_the_store_is_away(away: Store, spool: Path) -> None:
    writer = writer_on(away.engine, spool)
    writer.add(row(1))
    await writer.stop()
    assert spooled(spool) == uids(1)
    assert (writer.written, writer.spooled, writer.lost) == (0, 1, 0)


async def test_spooled_rows_are_written_when_the_store_is_back(away: Store, spool: Path) -> None:
    first = writer_on(away.engine, spool)
    first.add(row(1))
    await first.stop()
    writer = writer_on(away.engine, spool)
    writer.add(row(2))
    await away.come_back()
    await away.holds(2)
    await writer.stop()
    assert await away.uids() == uids(1, 2)
    assert not is_left(spool)


async def test_store_that_goes_and_comes_has_every_row_once(store: Store, spool: Path) -> None:
    writer = writer_on(store.engine, spool)
    writer.add(row(1))
    await store.holds(1)
    await store.go_away()
    for number in range(2, 300):
        writer.add(row(number))
    await store.come_back()
    writer.add(row(300))
    await store.holds(300)
    await writer.stop()
    assert await store.uids() == uids(*range(1, 301))
    assert writer.lost == 0
    assert not is_left(spool)


async def test_spool_of_a_former_life_that_was_written_already_adds_nothing(store: Store, spool: Path) -> None:
    """A crash between the commit and the end of the spool."""
    fill(spool, 1, 2)
    first = writer_on(store.engine, spool)
    await store.holds(2)
    await first.stop()
    fill(spool, 1, 2)
    second = writer_on(store.engine, spool)
    second.add(row(3))
    await store.holds(3)
    await second.stop()
    assert await store.uids() == uids(1, 2, 3)
    assert not is_left(spool)


async def test_spool_longer_than_a_batch_is_written_whole(store: Store, spool: Path) -> None:
    fill(spool, *range(2 * BATCH_ROWS + 1))
    writer = writer_on(store.engine, spool)
    await store.holds(2 * BATCH_ROWS + 1)
    await writer.stop()
    assert len(await store.uids()) == 2 * BATCH_ROWS + 1


@pytest.mark.parametrize("torn", [b'{"call_uid":"tas-1-0', b"\x00\x00", b'{"call_uid":1}\n'])
async def test_torn_line_costs_no_other_row(away: Store, spool: Path, torn: bytes) -> None:
    fill(spool, 1, tail=torn)
    writer = CdrWriter(away.engine, spool)
    writer.add(row(2))
    await writer.stop()
    await away.come_back()
    after = writer_on(away.engine, spool)
    await away.holds(2)
    await after.stop()
    assert await away.uids() == uids(1, 2)


async def test_rows_are_held_while_neither_takes_them_and_written_after(away: Store, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    writer = writer_on(away.engine, blocked / "spool.jsonl")
    writer.add(row(1))
    await away.come_back()
    await away.holds(1)
    await writer.stop()
    assert await away.uids() == uids(1)
    assert writer.lost == 0


async def test_rows_that_nobody_took_before_the_end_are_counted(away: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    writer = CdrWriter(away.engine, tmp_path / "file" / "spool.jsonl")
    writer.add(row(1))
    writer.add(row(2))
    await writer.stop()
    assert writer.lost == 2


async def test_full_disk_holds_the_rows(away: Store) -> None:
    writer = CdrWriter(away.engine, Path("/dev/full"))
    writer.add(row(1))
    await writer.stop()
    assert (writer.spooled, writer.lost) == (0, 1)


async def test_more_rows_than_may_be_held_drop_the_oldest(
    away: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aio, "MAX_HELD_ROWS", 3)
    (tmp_path / "file").write_bytes(b"")
    writer = CdrWriter(away.engine, tmp_path / "file" / "spool.jsonl")
    for number in range(5):
        writer.add(row(number))
    await writer.stop()
    assert writer.lost == 5  # two dropped, three with nowhere to go at the end


async def test_spool_that_cannot_be_read_does_not_end_the_writer(store: Store, spool: Path) -> None:
    block(spool)
    writer = writer_on(store.engine, spool)
    writer.add(row(1))
    await store.holds(1)
    await writer.stop()
    assert await store.uids() == uids(1)


async def test_spool_taken_away_by_hand_does_not_end_the_writer(store: Store, spool: Path) -> None:
    fill(spool, 1)
    writer = writer_on(store.engine, spool)
    take_away(spool)
    writer.add(row(2))
    await store.holds(1)
    await writer.stop()
    assert await store.uids() == uids(2)


async def test_error_of_a_driver_keeps_the_rows(store: Store, spool: Path) -> None:
    """asyncpg refuses with errors of its own while PostgreSQL starts up."""

    def refuse(*_arguments: Any) -> None:
        raise RuntimeError("the database system is starting up")

    event.listen(store.engine.sync_engine, "begin", refuse)
    writer = writer_on(store.engine, spool)
    writer.add(row(1))
    await writer.stop()
    assert spooled(spool) == uids(1)


async def test_values_are_cut_to_their_columns_and_have_no_zero_bytes(store: Store, spool: Path) -> None:
    """PostgreSQL refuses both, and with one row the batch it is in."""
    writer = writer_on(store.engine, spool)
    writer.add(row(1, caller="4" * 500, called="80\x0000"))
    await writer.stop()
    found = await store.one()
    assert (found["caller"], found["called"]) == ("4" * 128, "8000")


async def test_times_that_are_not_known_stay_null(store: Store, spool: Path) -> None:
    writer = writer_on(store.engine, spool)
    writer.add(row(1, queued_at=None, answered_at=None))
    await writer.stop()
    found = await store.one()
    assert (found["queued_at"], found["answered_at"]) == (None, None)
