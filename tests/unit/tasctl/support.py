"""A server that answers like the processes of a lab, and a lab.json that names it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from aiohttp import web

from agentbroker.acd.stats import QueueView
from common.contracts.agents import AgentState, AgentView, DeviceState
from common.contracts.calls import CallView, LadderStep, LegView, MediaServerView
from common.service.http.aio import Health
from tasctl import lab_file

TOKEN = "tok-operator"
UID = "tas-1-19ab-0001020304"
LEGS = [
    LegView(f"{UID}.1", "a@h", "127.0.0.2:5080", "in", "confirmed", "media-1", "PCMA"),
    LegView(f"{UID}.2", "b@h", "127.0.0.1:25060", "out", "confirmed", "media-1", "PCMU"),
]
CALL = CallView(UID, "tas-1", "talking", "0700123", "8000", "support", "1001", 12.345, LEGS)
LADDER = [
    LadderStep(0.0, f"{UID}.1", False, "127.0.0.2:5080", "INVITE sip:8000@127.0.0.1 SIP/2.0", "1 INVITE"),
    LadderStep(0.001, f"{UID}.1", True, "127.0.0.2:5080", "SIP/2.0 100 Trying", "1 INVITE"),
    LadderStep(0.012, f"{UID}.2", True, "127.0.0.1:25060", "INVITE sip:1001@127.0.0.1:25060 SIP/2.0", "1 INVITE"),
    LadderStep(0.512, f"{UID}.2", True, "127.0.0.1:25060", "INVITE sip:1001@127.0.0.1:25060 SIP/2.0", "1 INVITE"),
    LadderStep(0.6, f"{UID}.2", False, "127.0.0.1:25060", "SIP/2.0 180 Ringing", "1 INVITE"),
]
AGENTS = [
    AgentView(
        agent="1001",
        name="Åsa 北",
        state=AgentState.TALKING,
        reason="",
        origin="system",
        state_s=12.34,
        device=DeviceState.IN_USE,
        node="tas-1",
        edge="tas-2",
        queues=["support", "sales"],
        call_uid=UID,
        calls_taken=3,
    )
]
QUEUES = [
    QueueView(
        queue="support",
        strategy="leastrecent",
        waiting=2,
        oldest_s=8.5,
        agents=5,
        ready=0,
        talking=5,
        answered=100,
        abandoned=3,
        average_wait_s=4.2,
        servicelevel_s=20.0,
        servicelevel_percent=98.0,
        servicelevel2_percent=95.1,
    )
]
MEDIA = [MediaServerView("media-1", "up", 12, 500, 77), MediaServerView("media-2", "down")]

Answer = tuple[int, object]
ANSWERS: dict[str, Answer] = {
    "/readyz": (200, Health()),
    "/v1/calls": (200, [CALL]),
    f"/v1/calls/{UID}": (200, CALL),
    f"/v1/calls/{UID}/ladder": (200, LADDER),
    "/v1/agents": (200, AGENTS),
    "/v1/queues": (200, QUEUES),
    "/v1/media": (200, MEDIA),
}


class Recorded:
    """One process's HTTP API; `answers` by path may be changed while it runs, what is not in it is 404."""

    def __init__(self) -> None:
        self.answers = dict(ANSWERS)
        self.asked: list[str] = []
        self.queries: list[str] = []
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._runner: web.AppRunner | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run)

    async def _handle(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        if request.query_string:
            self.queries.append(request.url.raw_query_string)
        if request.path != "/readyz" and request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._answer(401, {"error": "send Authorization: Bearer <token>"})
        return self._answer(*self.answers.get(request.path, (404, {"error": f"no call {request.path}"})))

    def _answer(self, status: int, body: object) -> web.Response:
        encoded = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return web.Response(status=status, body=encoded, content_type="application/json")

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._started.set()
        self._loop.run_forever()
        assert self._runner is not None
        self._loop.run_until_complete(self._runner.cleanup())
        self._loop.close()

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    @contextmanager
    def running(self) -> Iterator[Recorded]:
        """Serve meanwhile."""
        self._thread.start()
        self._started.wait()
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()


def write_lab(var: Path, *, tas: list[str], brokers: list[str], supervisor: int = 0) -> None:
    """lab.json of a lab with these processes; by default one whose supervisor lives."""
    processes = [lab_file.Process("bus", "bus", os.getpid())]
    processes += [lab_file.Process(f"broker-{n}", "broker", os.getpid(), url) for n, url in enumerate(brokers, 1)]
    processes += [lab_file.Process(f"tas-{n}", "tas", os.getpid(), url) for n, url in enumerate(tas, 1)]
    lab_file.write(var, lab_file.LabFile(supervisor or os.getpid(), TOKEN, processes))
