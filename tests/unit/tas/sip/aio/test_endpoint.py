"""The endpoint on real sockets: a call over UDP, one over TCP, and what else streams bring."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop

from tas.sip.aio.endpoint import SipEndpoint
from tas.sip.events import (
    InviteReceived,
    RequestReceived,
    ResponseReceived,
    UsageAnswered,
    UsageEnded,
    UsageRejected,
)
from tas.sip.flow import Flow, TransportName
from tas.sip.layer import LayerSettings, SipLayer
from tas.sip.tls import Tls
from tests.unit.tas.sip.pki import needs_openssl, pki

SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"


@pytest.fixture(params=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    """Both loops: the node runs on uvloop."""
    return uvloop.EventLoopPolicy() if request.param == "uvloop" else asyncio.DefaultEventLoopPolicy()


class Node:
    """An endpoint whose user answers every call and hangs up the ones it made."""

    def __init__(self, tls: Tls | None = None) -> None:
        here = ("127.0.0.1", 0)
        settings = LayerSettings(udp=here, tcp=here, tls=here if tls is not None else None)
        self.layer = SipLayer(random=os.urandom, settings=settings)
        self.endpoint = SipEndpoint(self.layer, self.on_events, secure=(here, tls) if tls is not None else None)
        self.events: list[object] = []
        self.changed = asyncio.Event()

    def on_events(self, now: float) -> None:
        for event in self.layer.take_events():
            self.events.append(event)
            if isinstance(event, InviteReceived):
                event.usage.progress(180, now=now)
                event.usage.answer(SDP, now)
            elif isinstance(event, UsageAnswered):
                event.usage.end(now)
            elif isinstance(event, RequestReceived):
                self.layer.respond(event.transaction, 200, now=now)
        self.changed.set()

    def flow(self, transport: TransportName) -> Flow:
        """How others reach this node."""
        door = {"udp": self.endpoint.udp, "tcp": self.endpoint.tcp, "tls": self.endpoint.tls}[transport]
        assert door is not None
        return Flow(transport, door.local)

    def call(self, flow: Flow, uri: bytes = b"sip:8000@127.0.0.1") -> None:
        self.layer.invite(uri=uri, flow=flow, from_=b"<sip:a@a>", to=b"<sip:b@b>", body=SDP, now=self.now())
        self.endpoint.wake()

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    def saw(self, kind: type) -> Callable[[], bool]:
        return lambda: any(isinstance(event, kind) for event in self.events)


@asynccontextmanager
async def two_nodes(tls: Tls | None = None) -> AsyncIterator[tuple[Node, Node]]:
    one, other = Node(tls), Node(tls)
    await one.endpoint.start()
    await other.endpoint.start()
    try:
        yield one, other
    finally:
        await one.endpoint.stop()
        await other.endpoint.stop()


async def test_call_over_udp_connects_and_ends() -> None:
    async with two_nodes() as (caller, called):
        caller.call(called.flow("udp"))
        await called.until(called.saw(UsageEnded))
        assert caller.saw(UsageAnswered)()


async def test_call_over_tcp_connects_and_ends_on_one_connection() -> None:
    async with two_nodes() as (caller, called):
        caller.call(called.flow("tcp"))
        await called.until(called.saw(UsageEnded))
        assert caller.saw(UsageAnswered)()
        assert len(caller.endpoint.tcp) == len(called.endpoint.tcp) == 1


@needs_openssl
@pytest.mark.parametrize("uri", [b"sip:8000@127.0.0.1", b"sips:8000@127.0.0.1"])
async def test_call_over_tls_connects_and_ends_on_one_connection_with_contacts_over_tls(uri: bytes) -> None:
    async with two_nodes(pki().tls()) as (caller, called):
        caller.call(called.flow("tls"), uri)
        await called.until(called.saw(UsageEnded))
        assert caller.saw(UsageAnswered)()
        assert caller.endpoint.tls is not None
        assert len(caller.endpoint.tls) == 1
        (invited,) = [event for event in called.events if isinstance(event, InviteReceived)]
        shown = (invited.request.contact.uri, invited.usage.remote_target)  # type: ignore[union-attr]
        (answered,) = [event for event in caller.events if isinstance(event, UsageAnswered)]
        scheme, ending = uri.partition(b":")[0], b"" if uri.startswith(b"sips") else b";transport=tls"
        for node, contact in ((caller, shown[0]), (called, answered.usage.remote_target)):
            assert contact == b"%b:tas@127.0.0.1:%d%b" % (scheme, node.flow("tls").remote[1], ending)
        assert invited.request.via.transport == b"TLS"


async def test_request_over_tls_by_a_node_without_it_fails_with_503() -> None:
    async with two_nodes() as (node, _):
        node.call(Flow("tls", ("127.0.0.1", 5061)))
        await node.until(node.saw(UsageRejected))
        (rejected,) = [event for event in node.events if isinstance(event, UsageRejected)]
        assert rejected.status == 503


async def test_port_zero_is_advertised_as_the_one_the_kernel_chose() -> None:
    async with two_nodes() as (node, _):
        assert node.layer.settings.udp == node.endpoint.udp.local
        assert node.layer.settings.tcp == node.endpoint.tcp.local
        assert node.endpoint.udp.local[1] != 0


async def test_refused_connection_fails_the_request_with_503() -> None:
    async with two_nodes() as (node, _):
        server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        flow = Flow("tcp", ("127.0.0.1", port))
        node.layer.request(
            method=b"OPTIONS", uri=b"sip:127.0.0.1", flow=flow, from_=b"<sip:a@a>", to=b"<sip:b@b>", now=node.now()
        )
        node.call(flow)
        await node.until(node.saw(UsageRejected))
        rejected = [event for event in node.events if isinstance(event, UsageRejected | ResponseReceived)]
        assert [event.status for event in rejected] == [503, 503]


async def test_ping_on_a_stream_gets_its_pong() -> None:
    async with two_nodes() as (node, _):
        reader, writer = await asyncio.open_connection(*node.endpoint.tcp.local)
        writer.write(b"\r\n\r\n")
        assert await asyncio.wait_for(reader.readexactly(2), 2) == b"\r\n"
        writer.close()
        await writer.wait_closed()


async def test_stream_that_cannot_be_framed_gets_400_and_is_closed() -> None:
    async with two_nodes() as (node, _):
        reader, writer = await asyncio.open_connection(*node.endpoint.tcp.local)
        writer.write(
            b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
            b"To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: many\r\n\r\n"
        )
        answer = await asyncio.wait_for(reader.read(), 2)
        assert answer.startswith(b"SIP/2.0 400 ")
        writer.close()
        await writer.wait_closed()


async def test_noise_on_udp_is_dropped() -> None:
    async with two_nodes() as (caller, called):
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=called.endpoint.udp.local
        )
        transport.sendto(b"\r\n\r\n")
        transport.sendto(bytes(range(256)) * 4)
        transport.close()
        caller.call(called.flow("udp"))
        await called.until(called.saw(UsageEnded))


async def test_lost_connection_fails_the_call_that_rings_on_it() -> None:
    async with two_nodes() as (caller, called):

        def ring(now: float) -> None:
            for event in called.layer.take_events():
                called.events.append(event)
                if isinstance(event, InviteReceived):
                    event.usage.progress(180, now=now)
            called.changed.set()

        called.endpoint._on_events = ring
        caller.call(called.flow("tcp"))
        await called.until(called.saw(InviteReceived))
        await called.endpoint.tcp.close()
        await caller.until(caller.saw(UsageRejected))
        assert [event.status for event in caller.events if isinstance(event, UsageRejected)] == [503]
