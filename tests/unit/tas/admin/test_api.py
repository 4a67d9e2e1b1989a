"""The node's HTTP API over real HTTP: routes, roles, answers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from common.service.http.tokens import TokenStore
from tas.admin.api import add_routes
from tas.admin.view import View
from tests.unit.tas.rig import Rig

Client = TestClient[web.Request, web.Application]
VIEWER, OPERATOR = {"Authorization": "Bearer see"}, {"Authorization": "Bearer do"}
READS = ["/v1/node", "/v1/calls", "/v1/calls/{uid}", "/v1/calls/{uid}/ladder", "/v1/media"]
ACTS = ["/v1/node/drain", "/v1/node/undrain", "/v1/calls/{uid}/hangup"]


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.fixture
async def client(rig: Rig) -> AsyncIterator[Client]:
    app = web.Application()
    view = View(rig.node, rig.trace, lambda: rig.now, rig.turn)
    add_routes(app, view, TokenStore({"see": "viewer", "do": "operator"}))
    async with TestClient(TestServer(app)) as made:
        yield made


@pytest.mark.parametrize("path", READS)
async def test_reading_needs_a_token(client: Client, rig: Rig, path: str) -> None:
    path = path.format(uid=rig.call().uid)
    assert (await client.get(path)).status == 401
    assert (await client.get(path, headers={"Authorization": "Bearer wrong"})).status == 401
    assert (await client.get(path, headers=VIEWER)).status == 200
    assert (await client.get(path, headers=OPERATOR)).status == 200


@pytest.mark.parametrize("path", ACTS)
async def test_acting_needs_an_operator(client: Client, rig: Rig, path: str) -> None:
    path = path.format(uid=rig.call().uid)
    assert (await client.post(path)).status == 401
    refused = await client.post(path, headers=VIEWER)
    assert refused.status == 403
    assert "operator" in (await refused.json())["error"]
    assert len(rig.control.calls) == 1
    assert not rig.control.draining
    assert (await client.post(path, headers=OPERATOR)).status == 200


async def test_drain_and_undrain_answer_with_the_new_state(client: Client, rig: Rig) -> None:
    drained = await client.post("/v1/node/drain", headers=OPERATOR)
    assert ((await drained.json())["state"], rig.control.draining) == ("draining", True)
    undrained = await client.post("/v1/node/undrain", headers=OPERATOR)
    assert ((await undrained.json())["state"], rig.control.draining) == ("up", False)


async def test_hangup_ends_the_call(client: Client, rig: Rig) -> None:
    call = rig.call()
    answer = await client.post(f"/v1/calls/{call.uid}/hangup", headers=OPERATOR)
    assert await answer.json() == {"hung_up": True}
    assert len(rig.control.calls) == 0
    assert (await client.post(f"/v1/calls/{call.uid}/hangup", headers=OPERATOR)).status == 404


async def test_calls_and_ladder_are_json(client: Client, rig: Rig) -> None:
    call = rig.call()
    (shown,) = await (await client.get("/v1/calls", headers=VIEWER)).json()
    assert (shown["call_uid"], shown["state"], shown["legs"][0]["codec"]) == (call.uid, "queued", "PCMA")
    steps = await (await client.get(f"/v1/calls/{call.uid}/ladder", headers=VIEWER)).json()
    assert steps[0]["first_line"].startswith("INVITE sip:8000@")


@pytest.mark.parametrize("path", ["/v1/calls/nobody", "/v1/calls/nobody/ladder"])
async def test_unknown_call_is_named_in_a_404(client: Client, path: str) -> None:
    answer = await client.get(path, headers=VIEWER)
    assert answer.status == 404
    assert await answer.json() == {"error": "no call nobody on this node"}


async def test_media_servers_are_listed(client: Client) -> None:
    (server,) = await (await client.get("/v1/media", headers=VIEWER)).json()
    assert (server["server"], server["state"]) == ("media-1", "up")
