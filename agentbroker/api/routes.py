"""Routes of the agent broker. The leader answers; a standby says who leads (503)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import msgspec
from aiohttp import web

from agentbroker.api.views import agent_views, media_views, node_views, queue_views
from agentbroker.broker import Broker
from common.service.http.aio import Handler, json, problem, read_json, requires
from common.service.http.tokens import Role, TokenStore

CONSOLE: Final = Path(__file__).resolve().parents[1] / "console"
STATES: Final = {"Ready": True, "NotReady": False}
USER_REASON: Final = re.compile("[1-9][0-9]?")

CallsOfNodes = Callable[[str], Awaitable[list[msgspec.Raw]]]


class StateRequest(msgspec.Struct, forbid_unknown_fields=True):
    """POST /v1/agents/{agent}/state."""

    state: str
    reason: str = ""


class Api:
    """Handlers over one Broker. `calls_of_nodes(authorization)` gathers the calls of all TAS nodes."""

    def __init__(self, broker: Broker, clock: Callable[[], float], after: Callable[[], None], calls: CallsOfNodes):
        self._broker = broker
        self.clock = clock
        self._after = after
        self._calls_of_nodes = calls

    async def agents(self, _request: web.Request) -> web.Response:
        """GET /v1/agents."""
        return json(agent_views(self._broker, self.clock()))

    async def agent(self, request: web.Request) -> web.Response:
        """GET /v1/agents/{agent}."""
        agent = self._broker.engine.agents.get(request.match_info["agent"])
        return json(agent.view(self.clock())) if agent is not None else problem(404, "no such agent")

    async def queues(self, _request: web.Request) -> web.Response:
        """GET /v1/queues."""
        return json(queue_views(self._broker, self.clock()))

    async def nodes(self, _request: web.Request) -> web.Response:
        """GET /v1/nodes."""
        return json(node_views(self._broker, self.clock()))

    async def media(self, _request: web.Request) -> web.Response:
        """GET /v1/media."""
        return json(media_views(self._broker))

    async def calls(self, request: web.Request) -> web.Response:
        """GET /v1/calls: asked of every node, with the caller's own token."""
        return json(await self._calls_of_nodes(request.headers.get("Authorization", "")))

    async def set_state(self, request: web.Request) -> web.Response:
        """POST /v1/agents/{agent}/state."""
        agent = self._broker.engine.agents.get(request.match_info["agent"])
        wanted = await read_json(request, StateRequest)
        if agent is None:
            return problem(404, "no such agent")
        if wanted.state not in STATES:
            return problem(400, f"state must be one of {', '.join(STATES)}")
        if wanted.reason and not USER_REASON.fullmatch(wanted.reason):
            return problem(400, "reason must be 1 to 99, or absent")
        if agent.state == "LoggedOut":
            return problem(409, "the agent is logged out: its phone is not registered")
        now = self.clock()
        self._broker.engine.set_state(agent, STATES[wanted.state], wanted.reason, "supervisor", now)
        self._after()
        return json(agent.view(now))

    async def hang_up(self, request: web.Request) -> web.Response:
        """POST /v1/calls/{uid}/hangup."""
        if not self._broker.hang_up(request.match_info["uid"]):
            return problem(404, "no such call, or its node is unknown")
        return json({"asked": True}, 202)


def add_routes(app: web.Application, api: Api, broker: Broker, tokens: TokenStore) -> None:
    """Add all routes and the console's files."""

    def leading(handler: Handler) -> Handler:
        async def checked(request: web.Request) -> web.StreamResponse:
            if not broker.leads(api.clock()):
                leader = broker.election.leader or "nobody yet"
                return json({"error": f"this broker stands by; {leader} leads", "leader": leader}, 503)
            return await handler(request)

        return checked

    def add(method: str, path: str, role: Role, handler: Handler) -> None:
        app.router.add_route(method, path, requires(role, tokens, leading(handler)))

    add("GET", "/v1/agents", "viewer", api.agents)
    add("GET", "/v1/agents/{agent}", "viewer", api.agent)
    add("GET", "/v1/queues", "viewer", api.queues)
    add("GET", "/v1/calls", "viewer", api.calls)
    add("GET", "/v1/media", "viewer", api.media)
    app.router.add_get("/v1/nodes", requires("viewer", tokens, api.nodes))
    add("POST", "/v1/agents/{agent}/state", "operator", api.set_state)
    add("POST", "/v1/calls/{uid}/hangup", "operator", api.hang_up)

    async def index(_request: web.Request) -> web.FileResponse:
        return web.FileResponse(CONSOLE / "index.html")

    app.router.add_get("/", index)
    app.router.add_static("/console", CONSOLE)
