"""HTTP plumbing, asked over a real socket: roles, refusals, health, bodies."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest
from aiohttp import web

from common.service.http.aio import MAX_BODY_BYTES, Health, json, make_app, problem, read_json, requires, start_http
from common.service.http.tokens import TokenStore
from common.service.metrics import make_registry

TOKENS = TokenStore({"tok-v": "viewer", "tok-o": "operator"})


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    state: str


class Server:
    """An application with one route of each kind, on a port of its own."""

    def __init__(self) -> None:
        self.health = Health()
        self.app = make_app(health=lambda: self.health, registry=make_registry())
        self.app.router.add_get("/v1/things", requires("viewer", TOKENS, self._things))
        self.app.router.add_post("/v1/things", requires("operator", TOKENS, self._act))
        self.app.router.add_get("/v1/broken", self._broken)
        self.url = ""

    async def _things(self, _request: web.Request) -> web.Response:
        return json([{"thing": 1}])

    async def _act(self, request: web.Request) -> web.Response:
        wanted = await read_json(request, Wanted)
        return json({"state": wanted.state}) if wanted.state else problem(409, "no")

    async def _broken(self, _request: web.Request) -> web.Response:
        raise ValueError("a fault of ours")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    runner = await start_http(server.app, "127.0.0.1", 0)
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}"
    yield server
    await runner.cleanup()
    assert asyncio.all_tasks() == {asyncio.current_task()}


Answer = tuple[int, object, dict[str, str]]


async def ask(server: Server, method: str, path: str, token: str | None = None, data: bytes | None = None) -> Answer:
    """Status, JSON and headers of an answer."""
    headers = {} if token is None else {"Authorization": token}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, server.url + path, headers=headers, data=data) as answer,
    ):
        body = await answer.read()
        assert answer.content_type == "application/json", body
        return answer.status, msgspec.json.decode(body), dict(answer.headers)


@pytest.mark.parametrize("token", [None, "", "Bearer", "Bearer wrong", "Basic tok-v", "tok-v", "Bearer tok-v x"])
async def test_request_without_a_known_token_is_401_and_told_what_to_send(server: Server, token: str | None) -> None:
    status, body, headers = await ask(server, "GET", "/v1/things", token)
    assert (status, body) == (401, {"error": "send Authorization: Bearer <token>"})
    assert headers["WWW-Authenticate"] == "Bearer"


async def test_token_of_bytes_that_are_no_utf8_is_401(server: Server) -> None:
    reader, writer = await asyncio.open_connection(*server.url.removeprefix("http://").split(":"))
    writer.write(b"GET /v1/things HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 401 ")


async def test_viewer_reads_and_may_not_act(server: Server) -> None:
    assert (await ask(server, "GET", "/v1/things", "Bearer tok-v"))[:2] == (200, [{"thing": 1}])
    status, body, _ = await ask(server, "POST", "/v1/things", "bearer tok-v", b'{"state":"Ready"}')
    assert (status, body) == (403, {"error": "this token's role may not do that; needed: operator"})


async def test_operator_acts(server: Server) -> None:
    ready = await ask(server, "POST", "/v1/things", "Bearer tok-o", b'{"state":"Ready"}')
    assert ready[:2] == (200, {"state": "Ready"})
    refused = await ask(server, "POST", "/v1/things", "Bearer tok-o", b'{"state":""}')
    assert refused[:2] == (409, {"error": "no"})


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"{}", b'{"state":1}', b'{"state":"x","more":1}', b'{"state":"\xff"}', b"[" * 60_000],
    ids=range(8),
)
async def test_bad_body_is_400_and_told_why(server: Server, data: bytes) -> None:
    status, body, _ = await ask(server, "POST", "/v1/things", "Bearer tok-o", data)
    assert status == 400
    assert isinstance(body, dict)
    assert body["error"]


async def test_body_over_the_limit_is_413(server: Server) -> None:
    status, body, _ = await ask(server, "POST", "/v1/things", "Bearer tok-o", b" " * (MAX_BODY_BYTES + 1))
    assert (status, body) == (413, {"error": "POST /v1/things: Request Entity Too Large"})


async def test_unknown_path_and_wrong_method_are_json_refusals(server: Server) -> None:
    assert (await ask(server, "GET", "/v1/nothing"))[:2] == (404, {"error": "GET /v1/nothing: Not Found"})
    status, body, headers = await ask(server, "DELETE", "/healthz")
    assert (status, body) == (405, {"error": "DELETE /healthz: Method Not Allowed"})
    assert headers["Allow"] == "GET,HEAD"


async def test_fault_of_ours_is_500_without_its_text(server: Server) -> None:
    assert (await ask(server, "GET", "/v1/broken"))[:2] == (500, {"error": "internal error, see the log"})


async def test_process_is_healthy_while_it_is_not_ready(server: Server) -> None:
    server.health = Health(["bus", "store"])
    assert (await ask(server, "GET", "/healthz"))[:2] == (200, {"status": "ok"})
    assert (await ask(server, "GET", "/readyz"))[:2] == (503, {"waiting_for": ["bus", "store"], "draining": False})
    server.health = Health(draining=True)
    assert (await ask(server, "GET", "/readyz"))[:2] == (503, {"waiting_for": [], "draining": True})
    server.health = Health()
    assert (await ask(server, "GET", "/readyz"))[:2] == (200, {"waiting_for": [], "draining": False})


async def test_metrics_are_open_to_all(server: Server) -> None:
    async with aiohttp.ClientSession() as session, session.get(server.url + "/metrics") as answer:
        text = await answer.text()
    assert answer.status == 200
    assert answer.content_type == "text/plain"
    assert "process_open_fds" in text


async def test_port_that_is_taken_is_an_os_error_and_leaves_nothing(server: Server) -> None:
    port = int(server.url.rpartition(":")[2])
    before = asyncio.all_tasks()
    with pytest.raises(OSError, match=str(port)) as caught:
        await start_http(Server().app, "127.0.0.1", port)
    assert caught.value.errno == errno.EADDRINUSE
    assert asyncio.all_tasks() == before
