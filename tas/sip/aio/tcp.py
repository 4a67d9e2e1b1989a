"""The door of streams, plain (TCP) or secured (TLS): connections accepted and made, each with its framer, all reading
into one shared buffer.

It accepts by itself, so that a source with too many connections is turned away before it costs a TLS handshake.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from typing import Any, Final, Protocol, cast

from tas.sip.connections import ConnectionLimits
from tas.sip.flow import Address, Flow, TransportName
from tas.sip.framer import Ping, StreamFramer
from tas.sip.parser import SipParseError
from tas.sip.tls import Tls

READ_BUFFER_BYTES: Final = 65_536
"""One read; shared, since each read is framed before the next begins."""
BACKLOG: Final = 4_096
"""Connections the kernel keeps until they are accepted: what a crowd of phones brings while a call is handled."""
ACCEPTS_PER_WAKE: Final = 64
"""So that a flood of connections leaves room for messages in between."""
ACCEPT_PAUSE_S: Final = 0.2
"""Without free descriptors: until some are closed."""
MAX_UNSENT_BYTES: Final = 1_048_576
"""A peer that lets this much pile up does not read any more: its connection is dropped."""
MAX_WAITING: Final = 64
"""Messages kept for a connection under way: more than the calls one connect time-out can bring to a peer."""
CONNECT_TIMEOUT_S: Final = 4.0
"""Well below 64*T1, so that the caller learns it from the transport. The TLS handshake is within it."""
HANDSHAKE_TIMEOUT_S: Final = 8.0
"""A caller's TLS handshake: two round trips, with room for a lost segment or two."""
SHUTDOWN_TIMEOUT_S: Final = 1.0
"""For the peer's close_notify, which nobody needs: SIP knows where its messages end."""
STALL_S: Final = 10.0
"""A connection without a first message since it was accepted, or with half of one, for longer is dropped."""
IDLE_S: Final = 7_200.0
"""Silence after which a proven connection is closed: twice the longest registration."""
SWEEP_S: Final = 2.0
PONG: Final = b"\r\n"
RESPONSE: Final = b"SIP/2.0 "


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

    __slots__ = ("_door", "_framer", "_loop", "_source", "_transport", "flow", "heard_at", "ours", "proven")

    def __init__(self, door: TcpDoor, loop: asyncio.AbstractEventLoop, source: str = "") -> None:
        """`source` is the address it was accepted from; empty for one that we make."""
        self._door = door
        self._loop = loop
        self._source = source
        self.ours = not source
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
        self.release()
        if self.flow is not None:
            self._door.closed(self.flow)

    def release(self) -> None:
        """No longer counted for its source."""
        if self._source:
            self._door.limits.release(self._source)
            self._source = ""

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

    def abort(self) -> None:
        """Close at once: a peer that stalls would not take part in an orderly end either."""
        if self._transport is not None:
            self._transport.abort()

    def stalled(self, now: float) -> bool:
        """Whether this connection only costs."""
        silent = now - self.heard_at
        if self.proven and not self._framer.pending:
            return silent > IDLE_S
        return silent > STALL_S


class TcpDoor:
    """The listener and all connections of one transport."""

    def __init__(self, owner: TcpOwner, *, limits: ConnectionLimits | None = None, tls: Tls | None = None) -> None:
        """Plain without `tls`; `limits` are shared by all doors of a node."""
        self.owner = owner
        self.limits = limits or ConnectionLimits()
        self.transport: TransportName = "tcp" if tls is None else "tls"
        self.buffer = memoryview(bytearray(READ_BUFFER_BYTES))
        self.local: Address = ("", 0)
        self.failed_handshakes = 0
        """Callers that did not speak TLS, not in time, or showed no certificate we believe."""
        self._tls = tls
        self._listener: socket.socket | None = None
        self._connections: dict[int, TcpConnection] = {}
        self._by_remote: dict[Address, TcpConnection] = {}
        self._waiting: dict[Address, list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweep: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._connections)

    async def open(self, address: Address) -> None:
        """Listen; raises OSError."""
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setblocking(False)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
        self._listener = listener
        self.local = listener.getsockname()[:2]
        loop.add_reader(listener, self._accept, loop)
        self._sweep = loop.call_later(SWEEP_S, self._drop_stalled)

    async def close(self) -> None:
        """Stop listening and close every connection."""
        if self._sweep is not None:
            self._sweep.cancel()
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        for task in self._tasks:
            task.cancel()
        for connection in list(self._connections.values()):
            connection.close()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def send(self, flow: Flow, data: bytes) -> None:
        """Send on the flow's connection, on another one to the same peer, or on a new one."""
        connection = self._connections.get(flow.connection) or self._to_peer(flow.remote, data)
        if connection is not None:
            connection.send(data)
            return
        waiting = self._waiting.get(flow.remote)
        if waiting is None:
            self._waiting[flow.remote] = [data]
            self._spawn(self._connect(flow))
        elif len(waiting) < MAX_WAITING:
            waiting.append(data)

    def opened(self, connection: TcpConnection, transport: asyncio.Transport) -> Flow | None:
        """A connection is up; None refuses it."""
        peer = transport.get_extra_info("peername")
        if not peer:  # gone already
            return None
        remote: Address = peer[:2]
        if connection.ours and self._tls is not None:
            secured = transport.get_extra_info("ssl_object")
            if not self._tls.believes(secured, remote):
                return None
        flow = Flow(self.transport, remote, transport.get_extra_info("sockname")[:2], self.limits.number())
        self._connections[flow.connection] = connection
        self._by_remote[remote] = connection
        return flow

    def closed(self, flow: Flow) -> None:
        """A connection is gone."""
        flow.alive = False
        connection = self._connections.pop(flow.connection, None)
        if self._by_remote.get(flow.remote) is connection:
            self._by_remote.pop(flow.remote, None)
        self.owner.connection_lost(flow)

    def _to_peer(self, remote: Address, data: bytes) -> TcpConnection | None:
        """A connection to a peer that may carry this: over TLS requests need one whose certificate we have checked."""
        connection = self._by_remote.get(remote)
        if connection is None or self._tls is None or connection.ours or data.startswith(RESPONSE):
            return connection
        return None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _accept(self, loop: asyncio.AbstractEventLoop) -> None:
        listener = self._listener
        for _ in range(ACCEPTS_PER_WAKE):
            if listener is None:
                return
            try:
                accepted, remote = listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue
            except OSError:  # no descriptor is free: the listener stays readable, so it must not be looked at
                loop.remove_reader(listener)
                loop.call_later(ACCEPT_PAUSE_S, self._accept_again, loop)
                return
            if self.limits.admit(remote[0]):
                accepted.setblocking(False)
                self._spawn(self._serve(accepted, remote[0]))
            else:
                accepted.close()

    def _accept_again(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._listener is not None:
            loop.add_reader(self._listener, self._accept, loop)

    async def _serve(self, accepted: socket.socket, source: str) -> None:
        loop = asyncio.get_running_loop()
        connection = TcpConnection(self, loop, source)
        try:
            await loop.connect_accepted_socket(lambda: connection, accepted, **self._security(server=True))
        except OSError:  # no TLS, none in time, or no certificate we believe
            self.failed_handshakes += 1
        finally:
            if connection.flow is None:
                connection.release()

    def _security(self, *, server: bool, remote: Address = ("", 0)) -> dict[str, Any]:
        """What asyncio wants to know for TLS."""
        if self._tls is None:
            return {}
        if server:
            chosen: dict[str, Any] = {"ssl": self._tls.server, "ssl_handshake_timeout": HANDSHAKE_TIMEOUT_S}
        else:
            chosen = {"ssl": self._tls.client, "server_hostname": self._tls.name_of(remote)}
        return chosen | {"ssl_shutdown_timeout": SHUTDOWN_TIMEOUT_S}

    async def _connect(self, flow: Flow) -> None:
        loop = asyncio.get_running_loop()
        host, port = flow.remote
        connection = TcpConnection(self, loop)
        connection.proven = True  # we make it, so it may be silent
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await loop.create_connection(
                    lambda: connection, host, port, **self._security(server=False, remote=flow.remote)
                )
        except OSError:  # TimeoutError and all of TLS are such
            connection.abort()
        waiting = self._waiting.pop(flow.remote, ())
        if connection.flow is None:
            self.owner.connect_failed(flow)
            return
        for data in waiting:
            connection.send(data)

    def _drop_stalled(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in [each for each in self._connections.values() if each.stalled(now)]:
            connection.abort()
        self._sweep = loop.call_later(SWEEP_S, self._drop_stalled)
