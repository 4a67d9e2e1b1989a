"""The TCP door of the control contract, and the media server's clock."""

from __future__ import annotations

import asyncio
from typing import Final, cast

from common.contracts.media import STATUS_INTERVAL_S
from common.service.logs import get_logger
from mediaserver.control.link import ControlLink
from mediaserver.server import MediaServer

MAX_UNSENT_BYTES: Final = 1024 * 1024
"""A TAS that does not read for so long is dropped; its sessions wait for it."""

LAZY_REPLY_S: Final = 0.05
"""Replies that nobody waits for are sent together, this late at most: each wakes a process for its own CPU's worth."""
HELLO_TIMEOUT_S: Final = 5.0
"""A connection that has not introduced itself by then is dropped."""

_log = get_logger("control")


class _Connection(asyncio.Protocol):
    def __init__(self, door: ControlDoor) -> None:
        self.door = door
        self.link = ControlLink(door.server)
        self.transport: asyncio.Transport | None = None
        self.later: asyncio.TimerHandle | None = None
        self.hello_by = door.clock() + HELLO_TIMEOUT_S

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's is none by type
        self.transport = transport
        self.door.server.links.append(self.link)
        self.door.connections.add(self)

    def data_received(self, data: bytes) -> None:
        self.link.receive_data(data, self.door.clock())
        if self.link.urgent or self.link.close:
            self.flush()
        elif self.later is None:
            self.later = asyncio.get_running_loop().call_later(LAZY_REPLY_S, self.flush)

    def flush(self) -> None:
        """Send what waits."""
        if self.later is not None:
            self.later.cancel()
            self.later = None
        transport = self.transport
        if transport is None:
            return
        data = self.link.take_sends()
        if data:
            transport.write(data)
        if self.link.close:
            transport.close()
        elif transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.flush()
        self.door.connections.discard(self)
        self.door.server.link_lost(self.link, self.door.clock())
        if self.link.node:
            _log.info("TAS disconnected", node=self.link.node)


class ControlDoor:
    """Listens, sends heartbeats, ends orphans."""

    def __init__(self, server: MediaServer) -> None:
        self.server = server
        self.connections: set[_Connection] = set()
        self.clock = asyncio.get_running_loop().time
        self._listener: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen; raises OSError."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: _Connection(self), host, port)
        self._tick()

    def flush(self) -> None:
        """Send what waits on all links."""
        for connection in list(self.connections):
            connection.flush()

    def _tick(self) -> None:
        now = self.clock()
        for node in self.server.sessions.handle_timeout(now):
            _log.warning("sessions ended: their TAS did not come back", node=node)
        for connection in list(self.connections):
            if connection.link.node:
                connection.link.send_status()
            elif now > connection.hello_by and connection.transport is not None:
                connection.transport.abort()
            connection.flush()
        self._timer = asyncio.get_running_loop().call_later(STATUS_INTERVAL_S, self._tick)

    async def stop(self) -> None:
        """Close listener and links."""
        if self._timer is not None:
            self._timer.cancel()
        if self._listener is not None:
            self._listener.close()
        for connection in list(self.connections):
            if connection.transport is not None:
                connection.transport.abort()
        if self._listener is not None:
            await self._listener.wait_closed()
