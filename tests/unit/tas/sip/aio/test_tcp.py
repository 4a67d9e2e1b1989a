"""The TCP door at its bounds: connections, stalled and idle peers, peers that do not read."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from tas.sip.aio import tcp
from tas.sip.connections import ConnectionLimits
from tas.sip.flow import Flow
from tests.unit.tas.sip.aio.door import OPTIONS, connections, open_door, peer, tick, until


@pytest.fixture(params=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    """Both loops: the node runs on uvloop."""
    return uvloop.EventLoopPolicy() if request.param == "uvloop" else asyncio.DefaultEventLoopPolicy()


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


async def test_connection_beyond_its_sources_limit_is_refused_until_one_is_gone() -> None:
    limits = ConnectionLimits(1)
    async with open_door(limits=limits) as (door, owner):
        async with peer(door) as (_, first):
            first.write(OPTIONS)
            await owner.change()
            async with peer(door) as (reader, _):
                with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                    await asyncio.wait_for(reader.readexactly(1), 2)
            assert (limits.refused, len(door)) == (1, 1)
        await until(lambda: limits.total == 0)
        async with peer(door) as (_, second):
            second.write(OPTIONS)
            await until(lambda: len(owner.messages) == 2)


async def test_node_without_free_descriptors_accepts_again_when_there_are_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "ACCEPT_PAUSE_S", 0.001)
    async with open_door() as (door, owner):
        listener, calls = door._listener, []

        class Exhausted:
            def accept(self) -> None:
                calls.append(1)
                door._listener = listener
                raise OSError(24, "Too many open files")

            def fileno(self) -> int:
                assert listener is not None
                return listener.fileno()

        door._listener = Exhausted()  # type: ignore[assignment]
        async with peer(door) as (_, writer):
            writer.write(OPTIONS)
            await owner.change()
        assert calls == [1]


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
