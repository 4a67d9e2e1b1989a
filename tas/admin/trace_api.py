"""Routes of the trace, for operators: a stream of JSON lines, and the messages kept of a call."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec
from aiohttp import web

from common.service.http.aio import json, problem, requires
from common.service.http.tokens import TokenStore
from tas.admin.traces import MAX_READERS, TraceFilter, TraceReader, Traces

GATHER_S: Final = 0.05
"""Messages of so long go out together."""
BATCH: Final = 100
"""Messages prepared at one go, about 5 ms; SIP has its turn between two of them."""
KEEPALIVE_S: Final = 2.0
"""An empty line when nothing else went for so long: both ends learn that the other is there."""
STREAMS: Final = web.AppKey("trace_streams", set[asyncio.Task[object]])


def add_trace_routes(app: web.Application, traces: Traces, tokens: TokenStore) -> None:
    """GET /v1/trace?number=&call=&method= and GET /v1/calls/{uid}/messages."""
    app[STREAMS] = set()

    async def messages(request: web.Request) -> web.Response:
        found = traces.messages(request.match_info["uid"])
        if found is None:
            return problem(404, f"no call {request.match_info['uid']} on this node")
        return json(found)

    async def trace(request: web.Request) -> web.StreamResponse:
        ready = asyncio.Event()
        reader = traces.open_reader(_wanted(request), ready.set)
        if reader is None:
            return problem(503, f"{MAX_READERS} traces run on this node already")
        task = asyncio.current_task()
        assert task is not None
        app[STREAMS].add(task)
        try:
            return await _stream(request, reader, ready)
        finally:
            app[STREAMS].discard(task)
            traces.close_reader(reader)

    app.router.add_get("/v1/calls/{uid}/messages", requires("operator", tokens, messages))
    app.router.add_get("/v1/trace", requires("operator", tokens, trace))
    app.on_shutdown.append(_end_streams)


def _wanted(request: web.Request) -> TraceFilter:
    query = request.query
    methods = query.get("method", "").upper().replace(",", " ").split()
    return TraceFilter(
        number=query.get("number", ""), call=query.get("call", ""), methods=frozenset(m.encode() for m in methods)
    )


async def _stream(request: web.Request, reader: TraceReader, ready: asyncio.Event) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"})
    encoder = msgspec.json.Encoder()
    try:
        await response.prepare(request)
        await response.write(b"\n")  # the reader knows from here on that nothing escapes it
        while True:
            await _wait(ready)
            ready.clear()
            if not len(reader):
                await response.write(b"\n")
            while len(reader):
                await response.write(encoder.encode_lines(reader.take(BATCH)))  # waits while the reader is slow
                await asyncio.sleep(0)
    except ConnectionError:  # the reader has gone
        return response


async def _wait(ready: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(KEEPALIVE_S):
            await ready.wait()
    except TimeoutError:
        return
    await asyncio.sleep(GATHER_S)


async def _end_streams(app: web.Application) -> None:
    """The node stops: it does not wait for readers."""
    for task in app[STREAMS]:
        task.cancel()
