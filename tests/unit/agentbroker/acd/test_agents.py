"""The table of agent states, and what an agent shows."""

from __future__ import annotations

import pytest

from agentbroker.acd.agents import (
    BUSY,
    HOLD,
    LOGGED_OUT,
    NOT_READY,
    READY,
    RESERVED,
    RINGING,
    TABLE,
    TALKING,
    WRAP_UP,
    Agent,
    CallPart,
    Event,
)
from common.contracts.agents import AgentState, DeviceState
from tests.unit.agentbroker.acd.support import agent_entry, phone


def make_agent(state: AgentState = LOGGED_OUT) -> Agent:
    agent = Agent("1001", agent_entry("support"), 10.0)
    agent.state = state
    return agent


def test_table_has_a_row_for_every_state_and_no_dead_event() -> None:
    assert set(TABLE) == set(AgentState)
    assert {event for rows in TABLE.values() for event in rows} == set(Event)


@pytest.mark.parametrize("state", sorted(BUSY))
def test_no_person_and_no_logoff_takes_an_agent_out_of_a_call(state: AgentState) -> None:
    assert not set(TABLE[state]) & {Event.SET_READY, Event.SET_NOT_READY, Event.LOGOFF, Event.WRAP_OVER}
    assert {TABLE[state][event] for event in (Event.FREE, Event.FREE_NOT_READY, Event.WRAP)} == {
        READY, NOT_READY, WRAP_UP,
    }  # fmt: skip


def test_step_without_a_row_changes_nothing() -> None:
    agent = make_agent(READY)
    before = (agent.state, agent.reason, agent.since, agent.token)
    assert not agent.step(Event.SET_READY, 20.0, "5")
    assert (agent.state, agent.reason, agent.since, agent.token) == before


def test_step_carries_reason_origin_and_time() -> None:
    agent = make_agent(READY)
    assert agent.step(Event.SET_NOT_READY, 20.0, "5", "agent")
    assert (agent.state, agent.reason, agent.origin, agent.since) == (NOT_READY, "5", "agent", 20.0)


@pytest.mark.parametrize(
    ("offer", "rings", "parts", "state"),
    [
        ("7.1", False, [], RESERVED),
        ("7.1", True, [], RINGING),
        ("", False, [False], RINGING),
        ("7.1", False, [False], RINGING),
        ("", False, [False, True], TALKING),
        ("7.1", True, [True], TALKING),
    ],
)
@pytest.mark.parametrize("before", [READY, NOT_READY, WRAP_UP, RESERVED, RINGING, TALKING, HOLD])
def test_state_follows_from_offer_and_calls_whatever_it_was(
    before: AgentState, offer: str, rings: bool, parts: list[bool], state: AgentState
) -> None:
    agent = make_agent(before)
    agent.offer, agent.offer_rings = offer, rings
    agent.calls = {str(number): CallPart("tas-1", "", up) for number, up in enumerate(parts)}
    assert agent.engage(20.0) is (before is not state)
    assert agent.state is state
    assert (agent.resume is not None) is (before not in BUSY)


def test_logged_out_agent_stays_so_until_the_phone_is_there() -> None:
    agent = make_agent()
    agent.calls = {"tas-1-1-0": CallPart("tas-1", "", True)}
    assert not agent.engage(20.0)
    assert (agent.state, agent.resume) == (LOGGED_OUT, None)


def test_device_state_tells_what_the_phone_does() -> None:
    agent = make_agent(TALKING)
    assert agent.device_state() is DeviceState.UNREGISTERED
    agent.devices["tas-1", "a"] = phone("1001")
    assert agent.device_state() is DeviceState.IN_USE
    agent.state = RESERVED
    assert agent.device_state() is DeviceState.REGISTERED


def test_edge_is_where_the_newest_phone_registered() -> None:
    agent = make_agent()
    assert agent.edge() == ""
    agent.devices["tas-1", "a"] = phone("1001", "tas-1")
    agent.devices["tas-2", "a"] = phone("1001", "tas-2")
    assert agent.edge() == "tas-2"


def test_view_shows_the_agent_as_the_api_names_things() -> None:
    agent = make_agent(TALKING)
    agent.devices["tas-1", "a"] = phone("1001", "tas-1")
    agent.node, agent.calls_taken = "tas-2", 3
    agent.calls = {"tas-1-1-0": CallPart("tas-1", "support", True)}
    view = agent.view(12.3456)
    assert (view.agent, view.state, view.state_s, view.device) == ("1001", TALKING, 2.346, DeviceState.IN_USE)
    assert (view.node, view.edge, view.queues, view.call_uid, view.calls_taken) == (
        "tas-2", "tas-1", ["support"], "tas-1-1-0", 3,
    )  # fmt: skip
