"""The TCP door at its bounds: connections, stalled and idle peers, peers that do not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop

from tas.sip.aio import tcp
from tas.sip.aio.tcp import TcpConnection, TcpDoor
from tas.sip.flow import Flow

OPTIONS = (
    b"OPTIONS sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
    b"To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


@pytest.fixture(params=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    """Both loops: the node runs on uvloop."""
    return uvloop.EventLoopPolicy() if request.param == "uvloop" else asyncio.DefaultEventLoopPolicy()


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
async def open_door() -> AsyncIterator[tuple[TcpDoor, Owner]]:
    owner = Owner()
    door = TcpDoor(owner)
    await door.open(("127.0.0.1", 0))
    try:
        yield door, owner
    finally:
        await door.close()


@asynccontextmanager
async def peer(door: TcpDoor) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(*door.local)
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


async def test_message_in_pieces_arrives_whole_with_the_flow_of_its_connection() -> None:
    async with open_door() as (door, owner), peer(door) as (_, writer):
        for byte in OPTIONS:
            writer.write(bytes((byte,)))
            await writer.drain()
        await owner.change()
        ((_, flow),) = owner.messages
        assert flow.connection == 1
        assert flow.remote == writer.get_extra_info("sockname")
        door.send(flow, b"SIP/2.0 200 OK\r\n\r\n")


async def test_two_connections_share_the_buffer_without_mixing_their_bytes() -> None:
    async with open_door() as (door, owner), peer(door) as (_, one), peer(door) as (_, other):
        half = len(OPTIONS) // 2
        for writer in (one, other):
            writer.write(OPTIONS[:half])
            await writer.drain()
        await until(lambda: len(connections(door)) == 2)
        for writer in (other, one):
            writer.write(OPTIONS[half:])
        while len(owner.messages) < 2:
            await owner.change()
        assert [flow.connection for _, flow in owner.messages] in ([1, 2], [2, 1])


async def test_connection_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "MAX_CONNECTIONS", 1)
    async with open_door() as (door, owner), peer(door) as (_, first):
        first.write(OPTIONS)
        await owner.change()
        async with peer(door) as (reader, _):
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await asyncio.wait_for(reader.readexactly(1), 2)
        assert door.refused == 1
        assert len(door) == 1


async def test_lost_connection_kills_its_flow_and_is_told() -> None:
    async with open_door() as (door, owner):
        async with peer(door) as (_, writer):
            writer.write(OPTIONS)
            await owner.change()
        while not owner.lost:
            await owner.change()
        ((_, flow),) = owner.messages
        assert owner.lost == [flow]
        assert not flow.alive
        assert len(door) == 0


async def test_connection_without_a_message_stalls_after_10_s_and_a_proven_one_idles_for_two_hours() -> None:
    async with open_door() as (door, owner), peer(door) as (reader, writer):
        await until(lambda: bool(connections(door)))
        (connection,) = connections(door)
        heard = connection.heard_at
        writer.write(b"\r\n\r\n")
        assert await asyncio.wait_for(reader.readexactly(2), 2) == b"\r\n"  # a ping proves nothing
        assert not connection.stalled(heard + tcp.STALL_S - 0.01)
        assert connection.stalled(heard + tcp.STALL_S + 0.01)
        writer.write(OPTIONS)
        await owner.change()
        heard = connection.heard_at
        assert not connection.stalled(heard + tcp.IDLE_S - 0.01)
        assert connection.stalled(heard + tcp.IDLE_S + 0.01)


async def test_half_a_message_stalls_although_bytes_keep_dripping() -> None:
    async with open_door() as (door, owner), peer(door) as (_, writer):
        writer.write(OPTIONS)
        await owner.change()
        (connection,) = connections(door)
        writer.write(OPTIONS[:20])
        await until(lambda: connection._framer.pending == 20)
        heard = connection.heard_at
        writer.write(OPTIONS[20:30])
        await until(lambda: connection._framer.pending == 30)
        assert connection.heard_at == heard
        assert connection.stalled(heard + tcp.STALL_S + 0.01)


async def test_sweep_closes_stalled_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_door() as (door, owner), peer(door) as (reader, _):
        await until(lambda: bool(connections(door)))
        monkeypatch.setattr(tcp, "STALL_S", -1.0)
        door._drop_stalled()
        assert await asyncio.wait_for(reader.read(), 2) == b""
        while not owner.lost:
            await owner.change()


async def test_peer_that_does_not_read_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "MAX_UNSENT_BYTES", 1000)
    async with open_door() as (door, owner), peer(door) as (_, writer):
        writer.write(OPTIONS)
        await owner.change()
        ((_, flow),) = owner.messages
        while not owner.lost:
            door.send(flow, bytes(1_000_000))
            await tick()
        assert len(door) == 0


async def test_messages_to_one_peer_wait_for_one_connection_and_arrive_in_order() -> None:
    async with open_door() as (door, _), open_door() as (other, owner):
        flow = Flow("tcp", other.local)
        for number in range(3):
            door.send(flow, OPTIONS.replace(b"Call-ID: 1", b"Call-ID: %d" % number))
        while len(owner.messages) < 3:
            await owner.change()
        assert [message.call_id for message, _ in owner.messages] == [b"0", b"1", b"2"]  # type: ignore[attr-defined]
        assert len(door) == len(other) == 1


async def test_messages_beyond_the_waiting_limit_are_lost() -> None:
    async with open_door() as (door, _), open_door() as (other, owner):
        flow = Flow("tcp", other.local)
        for _ in range(tcp.MAX_WAITING + 5):
            door.send(flow, OPTIONS)
        while len(owner.messages) < tcp.MAX_WAITING:
            await owner.change()
        door.send(flow, OPTIONS.replace(b"Call-ID: 1", b"Call-ID: last"))
        await until(lambda: b"last" in [message.call_id for message, _ in owner.messages])  # type: ignore[attr-defined]
        assert len(owner.messages) == tcp.MAX_WAITING + 1


async def test_refused_connect_is_told() -> None:
    async with open_door() as (door, owner):
        async with open_door() as (gone, _):
            remote = gone.local
        door.send(Flow("tcp", remote), OPTIONS)
        await owner.change()
        assert [flow.remote for flow in owner.failed] == [remote]
