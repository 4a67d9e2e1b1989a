"""Routes of a TAS: /v1/node, /v1/calls, /v1/media and what an operator may do."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from common.contracts.calls import CallView, LadderStep, MediaServerView
from common.service.http.aio import json, problem, requires
from common.service.http.tokens import TokenStore


class NodeView(Protocol):
    """What the API shows and does; the plug board gives the node itself."""

    def node_view(self) -> dict[str, object]:
        """Name, state and counts of everything alive."""

    def call_views(self) -> list[CallView]:
        """Calls now, and those that ended last."""

    def call_view(self, call_uid: str) -> CallView | None:
        """One call."""

    def ladder(self, call_uid: str) -> list[LadderStep] | None:
        """The SIP messages of a call's legs in order."""

    def media_views(self) -> list[MediaServerView]:
        """Media servers as this node sees them."""

    def hang_up(self, call_uid: str) -> bool:
        """End a call."""

    def set_draining(self, draining: bool) -> None:
        """Take no new calls, or take them again."""


def add_routes(app: web.Application, node: NodeView, tokens: TokenStore) -> None:
    """Add the routes; reading needs role viewer, acting operator."""

    async def node_(_request: web.Request) -> web.Response:
        return json(node.node_view())

    async def calls(_request: web.Request) -> web.Response:
        return json(node.call_views())

    async def call(request: web.Request) -> web.Response:
        view = node.call_view(request.match_info["uid"])
        return json(view) if view is not None else _no_call(request)

    async def ladder(request: web.Request) -> web.Response:
        steps = node.ladder(request.match_info["uid"])
        return json(steps) if steps is not None else _no_call(request)

    async def media(_request: web.Request) -> web.Response:
        return json(node.media_views())

    async def hang_up(request: web.Request) -> web.Response:
        return json({"hung_up": True}) if node.hang_up(request.match_info["uid"]) else _no_call(request)

    async def drain(_request: web.Request) -> web.Response:
        node.set_draining(True)
        return json(node.node_view())

    async def undrain(_request: web.Request) -> web.Response:
        node.set_draining(False)
        return json(node.node_view())

    get, post = app.router.add_get, app.router.add_post
    get("/v1/node", requires("viewer", tokens, node_))
    get("/v1/calls", requires("viewer", tokens, calls))
    get("/v1/calls/{uid}", requires("viewer", tokens, call))
    get("/v1/calls/{uid}/ladder", requires("viewer", tokens, ladder))
    get("/v1/media", requires("viewer", tokens, media))
    post("/v1/calls/{uid}/hangup", requires("operator", tokens, hang_up))
    post("/v1/node/drain", requires("operator", tokens, drain))
    post("/v1/node/undrain", requires("operator", tokens, undrain))


def _no_call(request: web.Request) -> web.Response:
    return problem(404, f"no call {request.match_info['uid']} on this node")
