"""Routes of a media server: /v1/sessions, /v1/status, drain and undrain."""

from __future__ import annotations

from aiohttp import web

from common.contracts.ids import SessionId
from common.contracts.media import ServerState
from common.service.http.aio import json, problem, requires
from common.service.http.tokens import TokenStore
from mediaserver.checks import SessionError
from mediaserver.control.aio import ControlDoor


def add_routes(app: web.Application, door: ControlDoor, tokens: TokenStore) -> None:
    """Add the routes; reading needs role viewer, acting operator."""
    server = door.server

    async def status(_request: web.Request) -> web.Response:
        return json(server.status())

    async def sessions(_request: web.Request) -> web.Response:
        return json([server.sessions.dump(name) for name in list(server.sessions.sessions)])

    async def session(request: web.Request) -> web.Response:
        try:
            return json(server.sessions.dump(SessionId(request.match_info["session"])))
        except SessionError as error:
            return problem(404, error.error.message)

    async def drain(_request: web.Request) -> web.Response:
        server.set_state(ServerState.DRAINING)
        door.flush()
        return json(server.status())

    async def undrain(_request: web.Request) -> web.Response:
        server.set_state(ServerState.UP)
        door.flush()
        return json(server.status())

    app.router.add_get("/v1/status", requires("viewer", tokens, status))
    app.router.add_get("/v1/sessions", requires("viewer", tokens, sessions))
    app.router.add_get("/v1/sessions/{session}", requires("viewer", tokens, session))
    app.router.add_post("/v1/drain", requires("operator", tokens, drain))
    app.router.add_post("/v1/undrain", requires("operator", tokens, undrain))
