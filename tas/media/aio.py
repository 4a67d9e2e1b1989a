"""The door of the media links: one TCP connection each, made again for ever."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, cast

from common.service.logs import get_logger
from tas.media.link import MediaLink

BACKOFF_S: Final = (0.2, 0.5, 1.0)
CONNECT_TIMEOUT_S: Final = 2.0
LAZY_REQUEST_S: Final = 0.02
"""Requests that nobody waits for go with the next one, this late at most: a write of their own wakes a process."""

_log = get_logger("media")


class _Connection(asyncio.Protocol):
    def __init__(self, door: LinkDoor) -> None:
        self.door = door
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's is none by type
        self.door.transport = transport
        self.door.link.connection_made(self.door.clock())
        self.door.after(self.door.clock())

    def data_received(self, data: bytes) -> None:
        now = self.door.clock()
        self.door.link.receive_data(data, now)
        self.door.after(now)

    def connection_lost(self, exc: Exception | None) -> None:
        now = self.door.clock()
        self.door.transport = None
        self.door.link.connection_lost(now)
        self.door.after(now)
        if not self.closed.done():
            self.closed.set_result(None)


class LinkDoor:
    """Keeps one link connected. `after(now)` lets the node run its machines after each input."""

    def __init__(self, link: MediaLink, host: str, port: int, after: Callable[[float], None]) -> None:
        self.link = link
        self.after = after
        self.transport: asyncio.Transport | None = None
        self.clock = asyncio.get_running_loop().time
        self._where = (host, port)
        self._task: asyncio.Task[None] | None = None
        self._later: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to connect."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"link-{self.link.name}")

    def flush(self) -> None:
        """Send what the link has to say at once; drop the connection when it asks for it."""
        link, transport = self.link, self.transport
        if transport is None:
            return
        if link.urgent:
            transport.write(link.take_sends())
        elif link.waiting and self._later is None:
            self._later = asyncio.get_running_loop().call_later(LAZY_REQUEST_S, self._flush_all)
        if link.close:
            transport.abort()

    def _flush_all(self) -> None:
        self._later = None
        if self.transport is not None and self.link.waiting:
            self.transport.write(self.link.take_sends())

    async def stop(self) -> None:
        """Close the connection."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._later is not None:
            self._later.cancel()
        self._flush_all()
        if self.transport is not None:
            self.transport.close()

    async def _run(self) -> None:
        attempt, said = 0, ""
        while True:
            problem = await self._connection()
            if problem and problem != said:
                where = f"{self._where[0]}:{self._where[1]}"
                _log.warning("media server not usable, trying on", media=self.link.name, at=where, problem=problem)
            if not problem:
                attempt = 0
            said = problem
            await asyncio.sleep(BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)])
            attempt += 1

    async def _connection(self) -> str:
        """One connection from its beginning to its end; returns why it was of no use, else an empty text."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, protocol = await loop.create_connection(lambda: _Connection(self), *self._where)
        except TimeoutError:
            return f"no connection within {CONNECT_TIMEOUT_S:g} s"
        except OSError as error:
            return str(error)
        await protocol.closed
        return self.link.problem
