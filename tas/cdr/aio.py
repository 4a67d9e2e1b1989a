"""The CDR writer: batches to the SQL store, to a spool file while the store is away, and from there when it is back."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import Insert, String
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine

from common.service.logs import get_logger
from common.service.store.schema import cdr
from tas.cdr.batch import BATCH_ROWS, Batch
from tas.cdr.model import CdrRow

RETRY_S: Final = 5.0
"""How often a store that is away, or a spool that cannot be written, is tried again."""
MAX_HELD_ROWS: Final = 20_000
"""Rows kept in memory while neither store nor spool takes them; beyond it the oldest go, counted in `lost`."""

_log = get_logger("cdr")

_WIDTHS: Final = {
    column.name: column.type.length for column in cdr.columns if isinstance(column.type, String) and column.type.length
}


class CdrWriter:
    """Owns one background task; `add` never waits."""

    def __init__(self, engine: AsyncEngine, spool: Path) -> None:
        self._engine = engine
        self._spool = spool
        self._batch = Batch()
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._insert = _insert_once(engine)
        self._replay_at: float | None = None
        self.written = 0
        self.spooled = 0
        self.lost = 0

    def start(self) -> None:
        """Start the task."""
        loop = asyncio.get_running_loop()
        if self._spool.exists():
            self._replay_at = loop.time()
        self._task = loop.create_task(self._run(), name="cdr")

    def add(self, row: CdrRow) -> None:
        """Take a row to be written."""
        first = not len(self._batch)
        self._batch.add(row, asyncio.get_running_loop().time())
        if first or len(self._batch) >= BATCH_ROWS:
            self._wake.set()

    async def stop(self) -> None:
        """Write what is left, to the spool if need be."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task
        else:
            await self._write(self._batch.take())
        if self._batch:
            self.lost += len(self._batch)
            _log.error("CDRs lost: neither store nor spool took them before the end", rows=len(self._batch))

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._stopping:
            dues = [due for due in (self._batch.next_timeout(), self._replay_at) if due is not None]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(min(dues, default=None)):
                    await self._wake.wait()
            self._wake.clear()
            due = self._batch.next_timeout()
            if due is not None and due <= loop.time():
                await self._write(self._batch.take())
            if self._replay_at is not None and self._replay_at <= loop.time():
                await self._replay()
        await self._write(self._batch.take())

    async def _write(self, rows: list[CdrRow]) -> None:
        if not rows:
            return
        try:
            await self._store(rows)
        except Exception as error:  # drivers raise errors of their own too, asyncpg while PostgreSQL starts up
            _log.warning("store away, CDRs to the spool", rows=len(rows), error=str(error)[:200])
            await self._to_spool(rows)

    async def _to_spool(self, rows: list[CdrRow]) -> None:
        now = asyncio.get_running_loop().time()
        try:
            await asyncio.to_thread(_append, self._spool, rows)
        except OSError as error:
            lost = self._batch.put_back(rows, now + RETRY_S, MAX_HELD_ROWS)
            self.lost += lost
            _log.error(
                "spool cannot be written, CDRs held in memory", spool=str(self._spool), lost=lost, error=str(error)
            )
            return
        self.spooled += len(rows)
        if self._replay_at is None:
            self._replay_at = now + RETRY_S

    async def _store(self, rows: Sequence[CdrRow]) -> None:
        values = [_columns(row) for row in rows]
        async with self._engine.begin() as connection:
            await connection.execute(self._insert, values)
        self.written += len(rows)

    async def _replay(self) -> None:
        try:
            rows, unreadable = await asyncio.to_thread(_read, self._spool)
            for start in range(0, len(rows), BATCH_ROWS):
                await self._store(rows[start : start + BATCH_ROWS])
            self._spool.unlink(missing_ok=True)
        except Exception as error:  # as in _write; nothing may end the task
            self._replay_at = asyncio.get_running_loop().time() + RETRY_S
            _log.warning("spooled CDRs not written yet", spool=str(self._spool), error=str(error)[:200])
            return
        self._replay_at = None
        _log.info("spooled CDRs written", rows=len(rows), unreadable=unreadable)


def _append(spool: Path, rows: list[CdrRow]) -> None:
    spool.parent.mkdir(parents=True, exist_ok=True)
    with spool.open("a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # torn: the next row must not become part of it
                file.write(b"\n")
        file.write(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
        file.flush()
        os.fsync(file.fileno())


def _read(spool: Path) -> tuple[list[CdrRow], int]:
    """The rows, and how many lines are none.

    A line torn by a full disk or a crash was not taken as written: its row was held, or its call counted as lost.
    """
    if not spool.exists():
        return [], 0
    rows, lines = [], spool.read_bytes().splitlines()
    for line in lines:
        with contextlib.suppress(msgspec.DecodeError):
            rows.append(msgspec.json.decode(line, type=CdrRow))
    return rows, len(lines) - len(rows)


def _columns(row: CdrRow) -> dict[str, Any]:
    """A row as every database takes it: one that PostgreSQL refuses would keep the others of its batch out too."""
    values = msgspec.structs.asdict(row)
    for name, width in _WIDTHS.items():
        values[name] = values[name].replace("\0", "")[:width]
    return values


def _insert_once(engine: AsyncEngine) -> Insert:
    """INSERT that does nothing for a call_uid already there: a batch may be written twice after a crash."""
    if engine.dialect.name == "postgresql":
        return postgresql.insert(cdr).on_conflict_do_nothing(index_elements=["call_uid"])
    return sqlite.insert(cdr).on_conflict_do_nothing(index_elements=["call_uid"])
