"""mediaserver/control/aio.py"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from common.contracts.media import VERSION
from common.contracts.rpc import INVALID_REQUEST
from mediaserver.control import aio
from mediaserver.control.aio import ControlDoor
from mediaserver.server import MediaServer
from tests.unit.mediaserver.control.wire import TOKEN, make_server
from tests.unit.mediaserver.support import HOST, wish

WAIT_S = 5.0


class Tas:
    """A TCP connection to the door."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, method: str, params: dict[str, Any]) -> None:
        self.writer.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode() + b"\n")

    def hello(self, token: str = TOKEN) -> None:
        self.send("hello", {"version": VERSION, "node": "tas-1", "incarnation": "1", "token": token})

    async def line(self) -> dict[str, Any]:
        """The next line, empty at the end."""
        data = await asyncio.wait_for(self.reader.readline(), WAIT_S)
        return json.loads(data) if data else {}

    async def reply(self) -> dict[str, Any]:
        """The next line that is no notification."""
        while True:
            message = await self.line()
            if "method" not in message:
                return message


@pytest.fixture
async def door(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ControlDoor]:
    monkeypatch.setattr(aio, "STATUS_INTERVAL_S", 0.01)
    door = ControlDoor(make_server())
    await door.start(HOST, 0)
    yield door
    await door.stop()
    await gone(door.server)
    assert not door.connections


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something is so."""
    deadline = asyncio.get_running_loop().time() + WAIT_S
    while not condition() and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - no event says it
        await asyncio.sleep(0)
    assert condition()


async def gone(server: MediaServer) -> None:
    await until(lambda: not server.links)


async def connect(door: ControlDoor) -> Tas:
    assert door._listener is not None
    port = door._listener.sockets[0].getsockname()[1]
    return Tas(*await asyncio.open_connection(HOST, port))


async def test_link_that_said_hello_gets_heartbeats(door: ControlDoor) -> None:
    tas = await connect(door)
    tas.hello()
    assert (await tas.reply())["result"]["server"] == "media-1"
    beats = [await tas.line() for _ in range(3)]
    assert [beat["method"] for beat in beats] == ["server.status"] * 3
    tas.writer.close()
    await gone(door.server)


async def test_refused_link_is_closed_after_its_answer(door: ControlDoor) -> None:
    tas = await connect(door)
    tas.hello("guessed")
    assert "error" in await tas.reply()
    assert await tas.line() == {}
    await gone(door.server)


async def test_nonsense_is_answered_and_closed(door: ControlDoor) -> None:
    tas = await connect(door)
    tas.writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert (await tas.reply())["error"]["code"] == INVALID_REQUEST
    assert await tas.line() == {}


async def test_link_that_says_nothing_is_dropped(door: ControlDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aio, "HELLO_TIMEOUT_S", 0.02)
    silent = await connect(door)
    assert await silent.line() == {}


async def test_lost_link_leaves_its_sessions_to_the_grace_time(door: ControlDoor) -> None:
    tas = await connect(door)
    tas.hello()
    await tas.reply()
    sessions = door.server.sessions
    sessions.create(wish(), "tas-1", 0.0)
    tas.writer.close()
    await gone(door.server)
    assert sessions.next_timeout() is not None
    assert len(sessions) == 1
    door.clock = lambda: 1e9
    await until(lambda: not len(sessions))


async def test_tas_that_does_not_read_is_dropped(door: ControlDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aio, "MAX_UNSENT_BYTES", 1000)
    tas = await connect(door)
    tas.hello()
    await tas.reply()
    tas.writer.transport.pause_reading()  # type: ignore[attr-defined]
    (connection,) = door.connections
    async with asyncio.timeout(WAIT_S):
        while door.connections:
            connection.link.notify("server.status", "x" * 100_000)
            door.flush()
            await asyncio.sleep(0)
    await gone(door.server)
