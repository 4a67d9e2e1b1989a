"""mediaserver/api.py"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession, web

from common.service.http.tokens import TokenStore
from mediaserver.api import add_routes
from mediaserver.control.aio import ControlDoor
from tests.unit.mediaserver.control.wire import Wire, make_server
from tests.unit.mediaserver.support import HOST, REMOTE, wish

TOKENS = TokenStore({"see": "viewer", "do": "operator"})


class Client:
    """HTTP with a token."""

    def __init__(self, door: ControlDoor, http: ClientSession, base: str) -> None:
        self.door = door
        self._http = http
        self._base = base

    async def ask(self, method: str, path: str, token: str = "do") -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self._http.request(method, self._base + path, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    door = ControlDoor(make_server())
    app = web.Application()
    add_routes(app, door, TOKENS)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0)
    await site.start()
    port = runner.addresses[0][1]
    async with ClientSession() as http:
        yield Client(door, http, f"http://{HOST}:{port}")
    await runner.cleanup()


async def test_sessions_are_shown_one_and_all(client: Client) -> None:
    client.door.server.sessions.create(wish(remote=REMOTE), "tas-1", 0.0)
    status, all_of_them = await client.ask("GET", "/v1/sessions", "see")
    assert (status, [entry["session"] for entry in all_of_them]) == (200, ["a"])
    status, one = await client.ask("GET", "/v1/sessions/a", "see")
    assert (status, one) == (200, all_of_them[0])
    assert one["remote"]["codec"] == "PCMA"
    assert (await client.ask("GET", "/v1/sessions/b", "see"))[0] == 404


async def test_drain_and_undrain_are_told_to_the_tas(client: Client) -> None:
    tas = Wire(client.door.server)
    tas.hello()
    status, view = await client.ask("POST", "/v1/drain")
    assert (status, view["state"]) == (200, "draining")
    assert [message["params"]["state"] for message in tas.read()] == ["draining"]
    status, view = await client.ask("POST", "/v1/undrain")
    assert (status, view["state"], view["used"], view["limit"]) == (200, "up", 0, 4)


@pytest.mark.parametrize(
    ("method", "path", "token", "status"),
    [
        ("GET", "/v1/status", "", 401),
        ("GET", "/v1/sessions", "wrong", 401),
        ("GET", "/v1/sessions/a", "", 401),
        ("POST", "/v1/drain", "", 401),
        ("POST", "/v1/drain", "see", 403),
        ("POST", "/v1/undrain", "see", 403),
        ("GET", "/v1/status", "see", 200),
    ],
)
async def test_roles_are_asked_for(client: Client, method: str, path: str, token: str, status: int) -> None:
    assert (await client.ask(method, path, token))[0] == status
    assert not client.door.server.sessions.draining
