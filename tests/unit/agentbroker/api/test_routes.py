"""The HTTP API through aiohttp's own client: roles, standby, bad requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from agentbroker.api.routes import Api, add_routes
from common.contracts.calls import HangUp
from common.service.bus.memory import MemoryHub
from common.service.http.tokens import TokenStore
from tests.unit.agentbroker.support import BrokerEnd, TasEnd

Client = TestClient[web.Request, web.Application]
TOKENS = {"v": "viewer", "o": "operator"}
VIEWS = ["/v1/agents", "/v1/agents/1001", "/v1/queues", "/v1/calls", "/v1/media", "/v1/nodes"]
STATE = "/v1/agents/1001/state"


@pytest.fixture
def broker() -> BrokerEnd:
    broker = BrokerEnd(MemoryHub())
    broker.lead()
    return broker


@pytest.fixture
def tas(broker: BrokerEnd) -> TasEnd:
    tas = TasEnd(broker.hub)
    tas.beat()
    tas.snapshot("1001")
    return tas


@pytest.fixture
async def client(broker: BrokerEnd) -> AsyncIterator[Client]:
    async def calls(authorization: str) -> list[msgspec.Raw]:
        return [msgspec.Raw(msgspec.json.encode({"asked_with": authorization}))]

    app = web.Application()
    tokens = TokenStore(TOKENS)  # type: ignore[arg-type]
    add_routes(app, Api(broker.broker, lambda: broker.now, broker.flush, calls), broker.broker, tokens)
    async with TestClient(TestServer(app)) as client:
        yield client


async def ask(client: Client, path: str, token: str = "o", body: Any = None) -> tuple[int, Any]:
    """(status, JSON) of a GET, or of a POST when there is a body."""
    method = "GET" if body is None else "POST"
    data = body if isinstance(body, bytes | None) else msgspec.json.encode(body)
    async with client.request(method, path, headers={"Authorization": f"Bearer {token}"}, data=data) as response:
        return response.status, await response.json()


@pytest.mark.parametrize("path", VIEWS)
async def test_viewer_sees_everything_and_a_stranger_nothing(client: Client, path: str) -> None:
    assert (await ask(client, path, "v"))[0] == 200
    assert (await ask(client, path, "stranger"))[0] == 401


@pytest.mark.parametrize("path", [STATE, "/v1/calls/tas-1-18f-aa/hangup"])
async def test_viewer_changes_nothing(client: Client, broker: BrokerEnd, tas: TasEnd, path: str) -> None:
    status, answer = await ask(client, path, "v", {"state": "NotReady"})
    assert (status, "operator" in answer["error"]) == (403, True)
    assert broker.broker.engine.agents["1001"].state == "Ready"


@pytest.mark.parametrize("path", [path for path in VIEWS if path != "/v1/nodes"])
async def test_standby_says_who_leads(client: Client, broker: BrokerEnd, path: str) -> None:
    broker.election.step_down()
    broker.election.leader = "broker-2"
    status, answer = await ask(client, path)
    assert (status, answer["leader"]) == (503, "broker-2")


async def test_standby_takes_no_orders_and_shows_the_nodes(client: Client, broker: BrokerEnd) -> None:
    broker.election.step_down()
    assert (await ask(client, STATE, body={"state": "Ready"}))[0] == 503
    assert (await ask(client, "/v1/nodes"))[0] == 200
    assert (await ask(client, "/v1/agents"))[1]["leader"] == "nobody yet"


async def test_leader_whose_lease_has_run_out_answers_as_a_standby(client: Client, broker: BrokerEnd) -> None:
    broker.now += 2.0
    assert (await ask(client, "/v1/agents"))[0] == 503


async def test_agent_is_shown_and_an_unknown_one_is_404(client: Client, tas: TasEnd) -> None:
    status, agent = await ask(client, "/v1/agents/1001")
    assert (status, agent["state"], agent["node"]) == (200, "Ready", "tas-1")
    assert (await ask(client, "/v1/agents/9999"))[0] == 404


async def test_operator_sets_the_state_at_once(client: Client, tas: TasEnd) -> None:
    status, agent = await ask(client, STATE, body={"state": "NotReady", "reason": "12"})
    assert (status, agent["state"], agent["reason"], agent["origin"]) == (200, "NotReady", "12", "supervisor")
    assert (await ask(client, STATE, body={"state": "Ready"}))[1]["state"] == "Ready"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"state": "Talking"}, "state must be one of Ready, NotReady"),
        ({"state": ""}, "state must be one of"),
        ({"state": "NotReady", "reason": "0"}, "1 to 99"),
        ({"state": "NotReady", "reason": "100"}, "1 to 99"),
        ({"state": "NotReady", "reason": "-1"}, "1 to 99"),
        ({"state": "NotReady", "reason": "RNA"}, "1 to 99"),
        ({"state": "NotReady", "reason": "\u00b2"}, "1 to 99"),
        ({"state": "NotReady", "reason": "\u0663"}, "1 to 99"),
        ({"state": "NotReady", "reason": "9" * 5000}, "1 to 99"),
        ({"state": "Ready", "colour": "red"}, "colour"),
        ({}, "state"),
        ({"state": 7}, "str"),
        (b"", ""),
        (b"{", ""),
        (b"[1]", "object"),
        (b'{"state": "\xff"}', ""),
    ],
)
async def test_bad_state_or_reason_is_refused_and_said(
    client: Client, broker: BrokerEnd, tas: TasEnd, body: Any, says: str
) -> None:
    status, answer = await ask(client, STATE, body=body)
    assert status == 400
    assert says in answer["error"]
    assert broker.broker.engine.agents["1001"].state == "Ready"


async def test_state_of_nobody_and_of_who_is_logged_out_is_refused(client: Client, tas: TasEnd) -> None:
    assert (await ask(client, "/v1/agents/9999/state", body={"state": "Ready"}))[0] == 404
    status, answer = await ask(client, "/v1/agents/1002/state", body={"state": "Ready"})
    assert (status, "not registered" in answer["error"]) == (409, True)


async def test_hang_up_is_passed_on_to_the_node_of_the_call(client: Client, broker: BrokerEnd, tas: TasEnd) -> None:
    tas.taken()
    assert await ask(client, "/v1/calls/tas-1-18f-aa/hangup", body={}) == (202, {"asked": True})
    broker.hub.deliver()
    assert [type(command) for _, command in tas.taken()] == [HangUp]
    assert (await ask(client, "/v1/calls/tas-9-18f-aa/hangup", body={}))[0] == 404


async def test_calls_are_asked_for_with_the_caller_s_own_token(client: Client) -> None:
    assert await ask(client, "/v1/calls", "v") == (200, [{"asked_with": "Bearer v"}])


async def test_console_is_open_to_all_and_nothing_outside_it(client: Client) -> None:
    async with client.get("/") as page, client.get("/console/console.js") as script:
        assert (page.status, script.status) == (200, 200)
    async with client.get("/console/../app.py") as outside, client.get("/console/%2e%2e/app.py") as encoded:
        assert (outside.status, encoded.status) == (404, 404)
