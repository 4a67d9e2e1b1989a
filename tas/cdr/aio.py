"""The CDR writer: batches to the SQL store, to a spool file while the store is away, and from there when it is back."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import Insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from common.service.logs import get_logger
from common.service.store.schema import cdr
from tas.cdr.batch import BATCH_ROWS, Batch
from tas.cdr.model import CdrRow

RETRY_S: Final = 5.0
"""How often a spool is tried again."""

_log = get_logger("cdr")


class CdrWriter:
    """Owns one background task; `add` never waits."""

    def __init__(self, engine: AsyncEngine, spool: Path) -> None:
        self._engine = engine
        self._spool = spool
        self._batch = Batch()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._insert = _insert_once(engine)
        self.written = 0
        self.spooled = 0

    def start(self) -> None:
        """Start the task."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="cdr")

    def add(self, row: CdrRow) -> None:
        """Take a row to be written."""
        first = not len(self._batch)
        self._batch.add(row, asyncio.get_running_loop().time())
        if first or len(self._batch) >= BATCH_ROWS:
            self._wake.set()

    async def stop(self) -> None:
        """Write what is left, to the spool if need be."""
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = None
        await self._write(self._batch.take())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        retry_at = loop.time()
        while True:
            due = self._batch.next_timeout()
            wake_at = min(due if due is not None else retry_at + RETRY_S, retry_at if self._spool.exists() else 1e18)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(max(wake_at, loop.time())):
                    await self._wake.wait()
            self._wake.clear()
            due = self._batch.next_timeout()
            if due is not None and due <= loop.time():
                await self._write(self._batch.take())
            if self._spool.exists() and loop.time() >= retry_at:
                retry_at = loop.time() + RETRY_S
                await self._replay()

    async def _write(self, rows: list[CdrRow]) -> None:
        if not rows:
            return
        try:
            await self._store(rows)
        except (SQLAlchemyError, OSError) as error:
            self._append_to_spool(rows)
            _log.warning("store away, CDRs spooled", rows=len(rows), spool=str(self._spool), error=str(error)[:200])

    async def _store(self, rows: Sequence[CdrRow]) -> None:
        values: list[dict[str, Any]] = [msgspec.structs.asdict(row) for row in rows]
        async with self._engine.begin() as connection:
            await connection.execute(self._insert, values)
        self.written += len(rows)

    def _append_to_spool(self, rows: list[CdrRow]) -> None:
        self._spool.parent.mkdir(parents=True, exist_ok=True)
        with self._spool.open("ab") as file:
            for row in rows:
                file.write(msgspec.json.encode(row) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.spooled += len(rows)

    async def _replay(self) -> None:
        rows = []
        for line in self._spool.read_bytes().splitlines():
            # A line torn by a crash is the last one, and its call's row was never acknowledged anywhere.
            with contextlib.suppress(msgspec.DecodeError):
                rows.append(msgspec.json.decode(line, type=CdrRow))
        try:
            for start in range(0, len(rows), BATCH_ROWS):
                await self._store(rows[start : start + BATCH_ROWS])
        except (SQLAlchemyError, OSError):
            return
        self._spool.unlink(missing_ok=True)
        _log.info("spooled CDRs written", rows=len(rows))


def _insert_once(engine: AsyncEngine) -> Insert:
    """INSERT that does nothing for a call_uid already there: a batch may be written twice after a crash."""
    if engine.dialect.name == "postgresql":
        return postgresql.insert(cdr).on_conflict_do_nothing(index_elements=["call_uid"])
    return sqlite.insert(cdr).on_conflict_do_nothing(index_elements=["call_uid"])
