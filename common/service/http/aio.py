"""aiohttp plumbing: an application with /healthz, /readyz and /metrics, JSON by msgspec, bearer roles."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry

from common.contracts.wire import FAULTS
from common.service.http.tokens import Role, TokenStore
from common.service.logs import get_logger
from common.service.metrics import CONTENT_TYPE, render

MAX_BODY_BYTES: Final = 64 * 1024
SHUTDOWN_TIMEOUT_S: Final = 1.0

_log = get_logger("http")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Health(msgspec.Struct, frozen=True):
    """Readiness of a process: ready when `waiting_for` is empty and it is not draining."""

    waiting_for: list[str] = []
    draining: bool = False

    @property
    def ready(self) -> bool:
        """Whether load balancers may send new work."""
        return not self.waiting_for and not self.draining


def json(value: object, status: int = 200) -> web.Response:
    """A JSON response of anything msgspec encodes."""
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


def problem(status: int, text: str) -> web.Response:
    """An error as JSON: {"error": text}."""
    return json({"error": text}, status)


def requires(role: Role, tokens: TokenStore, handler: Handler) -> Handler:
    """Let a request through only with `Authorization: Bearer <token>` of at least `role`."""

    async def checked(request: web.Request) -> web.StreamResponse:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or tokens.role(token) is None:
            response = problem(401, "send Authorization: Bearer <token>")
            response.headers["WWW-Authenticate"] = "Bearer"
            return response
        if not tokens.allows(token, role):
            return problem(403, f"this token's role may not do that; needed: {role}")
        return await handler(request)

    return checked


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every refusal is JSON, aiohttp's own (404, 405, 413) too; a fault of ours is logged and answered 500."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST or error.content_type == "application/json":
            raise
        response = problem(error.status, f"{request.method} {request.path}: {error.reason}")
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except Exception:
        _log.exception("request failed", method=request.method, path=request.path)
        return problem(500, "internal error, see the log")


def make_app(*, health: Callable[[], Health], registry: CollectorRegistry) -> web.Application:
    """An application with the three routes every process has, open to all."""
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[problems])

    async def healthz(_request: web.Request) -> web.Response:
        return json({"status": "ok"})

    async def readyz(_request: web.Request) -> web.Response:
        now = health()
        return json(now, 200 if now.ready else 503)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=render(registry), headers={"Content-Type": CONTENT_TYPE})

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app


async def read_json(request: web.Request, type_: Any) -> Any:
    """Decode a request body; raises web.HTTPBadRequest that says what is wrong."""
    try:
        return msgspec.json.decode(await request.read(), type=type_)
    except FAULTS as error:
        raise web.HTTPBadRequest(
            text=msgspec.json.encode({"error": str(error)}).decode(), content_type="application/json"
        ) from error


async def start_http(app: web.Application, host: str, port: int) -> web.AppRunner:
    """Serve; end with `await runner.cleanup()`."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner
