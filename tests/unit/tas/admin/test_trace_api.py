"""The trace over real HTTP: roles, the stream, a reader that does not read, the end of the node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from aiohttp import ClientPayloadError, ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from common.contracts.trace import TraceLine, TraceLost, TraceMessage
from common.service.http.tokens import TokenStore
from tas.admin import trace_api as module
from tas.admin.trace_api import add_trace_routes
from tas.sip.flow import Flow
from tests.unit.tas.admin.test_traces import Shown
from tests.unit.tas.sip.support import LOCAL, PEER

Client = TestClient[web.Request, web.Application]
VIEWER, OPERATOR = {"Authorization": "Bearer see"}, {"Authorization": "Bearer do"}
READ_S = 5


@pytest.fixture
def shown() -> Shown:
    return Shown()


@pytest.fixture
async def client(shown: Shown) -> AsyncIterator[Client]:
    app = web.Application()
    add_trace_routes(app, shown.traces, TokenStore({"see": "viewer", "do": "operator"}))
    async with TestClient(TestServer(app)) as made:
        yield made


async def open_trace(client: Client, query: str = "") -> ClientResponse:
    """A stream that is under way."""
    answer = await client.get(f"/v1/trace{query}", headers=OPERATOR)
    assert (answer.status, await answer.content.readline()) == (200, b"\n")
    return answer


async def next_line(answer: ClientResponse) -> TraceLine:
    """The next line that is no keepalive."""
    async with asyncio.timeout(READ_S):
        while True:
            line = await answer.content.readline()
            if line.strip():
                return msgspec.json.decode(line, type=TraceLine)


@pytest.mark.parametrize("path", ["/v1/trace", "/v1/calls/{uid}/messages"])
async def test_messages_are_for_operators(client: Client, shown: Shown, path: str) -> None:
    path = path.format(uid=shown.rig.call().uid)
    assert (await client.get(path)).status == 401
    assert (await client.get(path, headers=VIEWER)).status == 403
    answer = await client.get(path, headers=OPERATOR)
    assert answer.status == 200
    answer.close()


async def test_messages_of_a_call_are_json_and_an_unknown_one_404(client: Client, shown: Shown) -> None:
    call = shown.rig.call()
    answer = await client.get(f"/v1/calls/{call.uid}/messages", headers=OPERATOR)
    messages = msgspec.json.decode(await answer.read(), type=list[TraceMessage])
    assert messages == shown.traces.messages(call.uid)
    missing = await client.get("/v1/calls/nobody/messages", headers=OPERATOR)
    assert (missing.status, await missing.json()) == (404, {"error": "no call nobody on this node"})


async def test_stream_brings_what_the_query_asks_for_as_it_passes(client: Client, shown: Shown) -> None:
    everything = await open_trace(client)
    answers = await open_trace(client, "?number=8000&method=invite,bye")
    call = shown.rig.call()
    for stream in (everything, answers):
        line = await next_line(stream)
        assert isinstance(line, TraceMessage)
        assert (line.text.split()[0], line.call_uid) == ("INVITE", call.uid)
    everything.close()
    answers.close()


async def test_quiet_stream_is_kept_alive(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEEPALIVE_S", 0.01)
    answer = await open_trace(client)
    async with asyncio.timeout(READ_S):
        assert await answer.content.readline() == b"\n"
    answer.close()


async def test_reader_that_goes_is_forgotten(client: Client, shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEEPALIVE_S", 0.01)
    answer = await open_trace(client)
    assert len(shown.traces.readers) == 1
    answer.close()
    async with asyncio.timeout(READ_S):
        while shown.traces.readers:  # noqa: ASYNC110 - the node notices in its own time
            await asyncio.sleep(0)
    assert shown.rig.trace.taps == 0


async def test_too_many_traces_are_refused(client: Client) -> None:
    streams = [await open_trace(client) for _ in range(module.MAX_READERS)]
    refused = await client.get("/v1/trace", headers=OPERATOR)
    assert refused.status == 503
    assert "8 traces run" in (await refused.json())["error"]
    for stream in streams:
        stream.close()


async def test_reader_that_stops_reading_loses_messages_and_is_told_how_many(client: Client, shown: Shown) -> None:
    answer = await open_trace(client)
    flow = Flow("udp", PEER, LOCAL)
    total = 0
    reader = shown.traces.readers[0]
    async with asyncio.timeout(READ_S):
        while True:  # until the sockets' buffers are full, and then the reader's queue
            if len(reader) > 100 and total > 1000:
                break
            for _ in range(100):
                total += 1
                shown.rig.trace.record(b"c", 0.0, False, flow, b"A%d sip:a SIP/2.0\r\n\r\n" % total + b"x" * 40_000)
            await asyncio.sleep(0)
    got = lost = 0
    while got + lost < total:
        line = await next_line(answer)
        if isinstance(line, TraceLost):
            lost += line.count
        else:
            got += 1
            assert line.text.startswith(f"A{got + lost} "), "a message is missing of which nothing was said"
    assert got > 0
    assert lost > 0
    answer.close()


async def test_node_that_stops_does_not_wait_for_readers(shown: Shown) -> None:
    app = web.Application()
    add_trace_routes(app, shown.traces, TokenStore({"do": "operator"}))
    client: Client = TestClient(TestServer(app))
    await client.start_server()
    answer = await open_trace(client)
    async with asyncio.timeout(READ_S):
        await client.server.close()
        with pytest.raises(ClientPayloadError):
            await answer.content.read()
    assert shown.traces.readers == []
    await client.close()
