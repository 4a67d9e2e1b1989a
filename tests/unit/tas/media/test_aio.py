"""The door of the media links on real sockets: connect, lose, be refused, connect again, stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest
import uvloop

from common.contracts.media import Empty, ErrorCode
from common.contracts.rpc import Request, RpcError, encode_error, encode_result
from tas.media import aio
from tas.media.aio import LinkDoor
from tas.media.link import LINK_LOST, LinkState, MediaLink
from tests.unit.tas.media.support import HELLO, Events, Owner, welcome

PATIENCE_S = 5.0


@pytest.fixture(params=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    """Both loops: the node runs on uvloop."""
    return uvloop.EventLoopPolicy() if request.param == "uvloop" else asyncio.DefaultEventLoopPolicy()


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aio, "BACKOFF_S", (0.01, 0.01))


class Peer:
    """A media server of one answer: `welcome()`, or the error that is in `refusal`."""

    def __init__(self) -> None:
        self.refusal: RpcError | None = None
        self.writers: list[asyncio.StreamWriter] = []
        self.hellos = 0
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        while line := await reader.readline():
            request = msgspec.json.decode(line, type=Request)
            assert request.id is not None
            if request.method == "hello":
                self.hellos += 1
                refusal = self.refusal
                writer.write(encode_error(request.id, refusal) if refusal else encode_result(request.id, welcome()))
        writer.close()

    def break_links(self) -> None:
        """Reset every connection."""
        for writer in self.writers:
            writer.transport.abort()
        self.writers.clear()

    async def stop(self) -> None:
        self.break_links()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()


class Bench:
    """A door, its link and the peer."""

    def __init__(self, port: int) -> None:
        self.events = Events()
        self.link = MediaLink("media-1", HELLO, self.events)
        self.turned = asyncio.Event()
        self.door = LinkDoor(self.link, "127.0.0.1", port, self._after)

    def _after(self, _now: float) -> None:
        self.door.flush()
        self.turned.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for turns of the door until the condition holds."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self.turned.clear()
                await self.turned.wait()


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    made = Peer()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def bench(peer: Peer) -> AsyncIterator[Bench]:
    """Ends with the leak assertion: no task of the door, no connection."""
    made = Bench(peer.port)
    yield made
    await made.door.stop()
    await made.until(lambda: made.door.transport is None)
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "link-media-1"]


async def test_door_connects_and_says_hello(bench: Bench, peer: Peer) -> None:
    bench.door.start()
    await bench.until(lambda: bench.link.state is LinkState.UP)
    assert peer.hellos == 1


async def test_door_connects_again_after_a_reset(bench: Bench, peer: Peer) -> None:
    bench.door.start()
    await bench.until(lambda: bench.link.state is LinkState.UP)
    peer.break_links()
    await bench.until(lambda: bench.link.state is LinkState.SUSPECT)
    await bench.until(lambda: bench.link.state is LinkState.UP)
    assert peer.hellos == 2


async def test_refused_door_drops_the_connection_and_tries_on(bench: Bench, peer: Peer) -> None:
    peer.refusal = RpcError(ErrorCode.NOT_AUTHENTICATED, "wrong token")
    bench.door.start()
    await bench.until(lambda: peer.hellos >= 3 and bench.door.transport is None)
    assert (bench.link.state, bench.link.problem) == (LinkState.ABSENT, "wrong token")
    peer.refusal = None
    await bench.until(lambda: bench.link.state is LinkState.UP)


async def test_problem_is_logged_once_however_often_it_is_met(
    bench: Bench, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(aio._log, "warning", lambda _event, **fields: said.append(fields["problem"]), raising=False)
    peer.refusal = RpcError(ErrorCode.NOT_AUTHENTICATED, "wrong token")
    bench.door.start()
    await bench.until(lambda: peer.hellos >= 4)
    assert said == ["wrong token"]


async def test_server_that_is_absent_is_waited_for(peer: Peer, unused_tcp_port: int) -> None:
    bench = Bench(unused_tcp_port)
    bench.door.start()
    late = Peer()
    await late.start(unused_tcp_port)
    await bench.until(lambda: bench.link.state is LinkState.UP)
    await bench.door.stop()
    await late.stop()


async def test_request_under_way_fails_when_the_peer_resets(bench: Bench, peer: Peer) -> None:
    bench.door.start()
    await bench.until(lambda: bench.link.state is LinkState.UP)
    owner = Owner()
    bench.link.request("session.create", Empty(), owner, "a", bench.door.clock())
    bench.door.flush()
    peer.break_links()
    await bench.until(lambda: bench.link.state is LinkState.SUSPECT)
    assert owner.replies == [("a", LINK_LOST)]


async def test_flush_without_a_connection_keeps_nothing(unused_tcp_port: int) -> None:
    events = Events()
    door = LinkDoor(MediaLink("media-1", HELLO, events), "127.0.0.1", unused_tcp_port, lambda _now: None)
    door.flush()
    assert door.transport is None


async def test_stop_before_any_connection_ends_the_task(unused_tcp_port: int) -> None:
    bench = Bench(unused_tcp_port)
    bench.door.start()
    await bench.door.stop()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "link-media-1"]
