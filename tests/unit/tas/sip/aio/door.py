"""Doors on real sockets for the tests of streams: an owner that writes down what comes, a peer, waits without sleep."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tas.sip.aio.tcp import TcpConnection, TcpDoor
from tas.sip.connections import ConnectionLimits
from tas.sip.flow import Flow
from tas.sip.tls import Tls

OPTIONS = (
    b"OPTIONS sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
    b"To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


class Owner:
    """Writes down what the door brings."""

    def __init__(self) -> None:
        self.messages: list[tuple[object, Flow]] = []
        self.lost: list[Flow] = []
        self.failed: list[Flow] = []
        self.changed = asyncio.Event()

    def received(self, message: object, flow: Flow) -> None:
        self.messages.append((message, flow))
        self.changed.set()

    def connection_lost(self, flow: Flow) -> None:
        self.lost.append(flow)
        self.changed.set()

    def connect_failed(self, flow: Flow) -> None:
        self.failed.append(flow)
        self.changed.set()

    async def change(self) -> None:
        async with asyncio.timeout(5):
            await self.changed.wait()
        self.changed.clear()


@asynccontextmanager
async def open_door(
    tls: Tls | None = None, limits: ConnectionLimits | None = None
) -> AsyncIterator[tuple[TcpDoor, Owner]]:
    owner = Owner()
    door = TcpDoor(owner, tls=tls, limits=limits)
    await door.open(("127.0.0.1", 0))
    try:
        yield door, owner
    finally:
        await door.close()


@asynccontextmanager
async def peer(
    door: TcpDoor, context: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(*door.local, ssl=context)
    try:
        yield reader, writer
    finally:
        writer.close()


async def tick() -> None:
    """Let the loop run once."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    loop.call_soon(future.set_result, None)
    await future


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until something is so."""
    async with asyncio.timeout(5):
        while not condition():
            await tick()


def connections(door: TcpDoor) -> list[TcpConnection]:
    return list(door._connections.values())
