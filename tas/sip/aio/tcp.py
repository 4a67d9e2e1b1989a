"""The TCP door: connections accepted and made, each with its framer, all reading into one shared buffer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, cast

from tas.sip.flow import Address, Flow
from tas.sip.framer import Ping, StreamFramer
from tas.sip.parser import SipParseError

READ_BUFFER_BYTES: Final = 65_536
"""One read; shared, since each read is framed before the next begins."""
MAX_CONNECTIONS: Final = 20_000
"""Phones of a node, with room for reconnecting ones; bounds memory at about 100 MB."""
MAX_UNSENT_BYTES: Final = 1_048_576
"""A peer that lets this much pile up does not read any more: its connection is dropped."""
MAX_WAITING: Final = 64
"""Messages kept for a connection under way: more than the calls one connect time-out can bring to a peer."""
CONNECT_TIMEOUT_S: Final = 4.0
"""Well below 64*T1, so that the caller learns it from the transport."""
STALL_S: Final = 10.0
"""A connection without a first message, or with half of one, for longer is dropped."""
IDLE_S: Final = 7_200.0
"""Silence after which a proven connection is closed: twice the longest registration."""
SWEEP_S: Final = 5.0
PONG: Final = b"\r\n"


class TcpOwner(Protocol):
    """Whom the door serves: the endpoint."""

    def received(self, message: object, flow: Flow) -> None:
        """A message, or the SipParseError of one."""

    def connection_lost(self, flow: Flow) -> None:
        """A connection is gone."""

    def connect_failed(self, flow: Flow) -> None:
        """A connection could not be made."""


class TcpConnection(asyncio.BufferedProtocol):
    """One stream."""

    __slots__ = ("_door", "_framer", "_loop", "_transport", "flow", "heard_at", "proven")

    def __init__(self, door: TcpDoor, loop: asyncio.AbstractEventLoop) -> None:
        self._door = door
        self._loop = loop
        self._framer = StreamFramer()
        self._transport: asyncio.Transport | None = None
        self.flow: Flow | None = None
        self.heard_at = loop.time()
        self.proven = False
        """At least one message came over it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio."""
        self._transport = stream = cast(asyncio.Transport, transport)  # by shape, not by class
        self.flow = self._door.opened(self, stream)
        if self.flow is None:
            stream.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        """asyncio."""
        return self._door.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """asyncio."""
        flow = self.flow
        if flow is None or not flow.alive:
            return
        waited = self._framer.pending
        items = self._framer.feed(self._door.buffer[:nbytes])
        if self.proven and (items or not waited):
            self.heard_at = self._loop.time()  # bytes dripped into one message do not count as life
        for item in items:
            if isinstance(item, Ping):
                self.send(PONG)
                continue
            if not self.proven:
                self.proven = True
                self.heard_at = self._loop.time()
            self._door.owner.received(item, flow)
            if isinstance(item, SipParseError):
                self._loop.call_soon(self.close)  # after the 400 has left

    def eof_received(self) -> bool:
        """asyncio: the peer closed its half; SIP has no use for the other."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio."""
        self._transport = None
        if self.flow is not None:
            self._door.closed(self.flow)

    def send(self, data: bytes) -> None:
        """Write, unless the peer has stopped reading."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            transport.abort()
            return
        transport.write(data)

    def close(self) -> None:
        """Close after what is written."""
        if self._transport is not None:
            self._transport.close()

    def stalled(self, now: float) -> bool:
        """Whether this connection only costs."""
        silent = now - self.heard_at
        if self.proven and not self._framer.pending:
            return silent > IDLE_S
        return silent > STALL_S


class TcpDoor:
    """The listener and all connections."""

    def __init__(self, owner: TcpOwner) -> None:
        self.owner = owner
        self.buffer = memoryview(bytearray(READ_BUFFER_BYTES))
        self.local: Address = ("", 0)
        self.refused = 0
        """Connections beyond MAX_CONNECTIONS."""
        self._server: asyncio.Server | None = None
        self._connections: dict[int, TcpConnection] = {}
        self._by_remote: dict[Address, TcpConnection] = {}
        self._waiting: dict[Address, list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._last = 0
        self._sweep: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._connections)

    async def open(self, address: Address) -> None:
        """Listen; raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._factory(loop), address[0], address[1], backlog=1024)
        self.local = self._server.sockets[0].getsockname()[:2]
        self._sweep = loop.call_later(SWEEP_S, self._drop_stalled)

    async def close(self) -> None:
        """Stop listening and close every connection."""
        if self._sweep is not None:
            self._sweep.cancel()
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        for connection in list(self._connections.values()):
            connection.close()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def send(self, flow: Flow, data: bytes) -> None:
        """Send on the flow's connection, on another one to the same peer, or on a new one."""
        connection = self._connections.get(flow.connection) or self._by_remote.get(flow.remote)
        if connection is not None:
            connection.send(data)
            return
        waiting = self._waiting.get(flow.remote)
        if waiting is None:
            self._waiting[flow.remote] = [data]
            task = asyncio.get_running_loop().create_task(self._connect(flow))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif len(waiting) < MAX_WAITING:
            waiting.append(data)

    def opened(self, connection: TcpConnection, transport: asyncio.Transport) -> Flow | None:
        """A connection is up; None refuses it."""
        if len(self._connections) >= MAX_CONNECTIONS:
            self.refused += 1
            return None
        peer = transport.get_extra_info("peername")
        if not peer:  # gone already
            return None
        remote: Address = peer[:2]
        self._last += 1
        flow = Flow("tcp", remote, transport.get_extra_info("sockname")[:2], self._last)
        self._connections[self._last] = connection
        self._by_remote[remote] = connection
        return flow

    def closed(self, flow: Flow) -> None:
        """A connection is gone."""
        flow.alive = False
        connection = self._connections.pop(flow.connection, None)
        if self._by_remote.get(flow.remote) is connection:
            self._by_remote.pop(flow.remote, None)
        self.owner.connection_lost(flow)

    def _factory(self, loop: asyncio.AbstractEventLoop) -> Callable[[], TcpConnection]:
        return lambda: TcpConnection(self, loop)

    async def _connect(self, flow: Flow) -> None:
        loop = asyncio.get_running_loop()
        host, port = flow.remote
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, connection = await loop.create_connection(self._factory(loop), host, port)
        except OSError:  # TimeoutError is one
            self._waiting.pop(flow.remote, None)
            self.owner.connect_failed(flow)
            return
        connection.proven = True  # we made it, so it may be silent
        for data in self._waiting.pop(flow.remote, ()):
            connection.send(data)

    def _drop_stalled(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in [each for each in self._connections.values() if each.stalled(now)]:
            connection.close()
        self._sweep = loop.call_later(SWEEP_S, self._drop_stalled)
