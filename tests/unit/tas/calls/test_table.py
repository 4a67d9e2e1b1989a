"""The table of a call: every name in it means something, and no state is a dead end."""

from __future__ import annotations

import inspect

import pytest

from tas.calls import table
from tas.calls.actions import compile_table
from tas.calls.call import ENTRIES
from tas.calls.table import OVER, ROWS
from tas.routing.router import Kind
from tests.unit.tas.rig import ACTION_MODULES

LIVE = [state for state in ROWS if state != OVER]
CONSTANTS = {value for name, value in vars(table).items() if name.isupper() and isinstance(value, str)}
NAMES = sorted({name for inputs in ROWS.values() for _, names in inputs.values() for name in names.split()})


def test_table_compiles_to_the_rooms_actions() -> None:
    compiled = compile_table(ROWS, ACTION_MODULES)
    assert {state: set(inputs) for state, inputs in compiled.items()} == {
        state: set(inputs) for state, inputs in ROWS.items()
    }


@pytest.mark.parametrize("name", NAMES)
def test_action_is_one_function_of_call_data_and_time(name: str) -> None:
    functions = {getattr(module, name) for module in ACTION_MODULES if hasattr(module, name)}
    assert len(functions) == 1
    assert len(inspect.signature(functions.pop()).parameters) == 3


def test_unknown_action_is_named_when_the_table_is_compiled() -> None:
    with pytest.raises(LookupError, match="'no_such_action'"):
        compile_table({"state": {"event": ("state", "no_such_action")}}, ACTION_MODULES)


def test_every_state_and_event_is_a_constant_of_the_table() -> None:
    for state, inputs in ROWS.items():
        assert state in CONSTANTS
        for event, (after, _) in inputs.items():
            assert {event, after} <= CONSTANTS
            assert after in ROWS


def test_every_state_can_be_reached() -> None:
    reached = {table.ARRIVING}
    for _ in ROWS:
        reached |= {after for state in reached for after, _ in ROWS[state].values()}
    assert reached == set(ROWS)


@pytest.mark.parametrize("state", LIVE)
@pytest.mark.parametrize("event", [table.HANG_UP, table.CALLER_GONE, table.MEDIA_LOST])
def test_every_living_state_ends_on(event: str, state: str) -> None:
    assert ROWS[state][event][0] == OVER


@pytest.mark.parametrize("state", [state for state in LIVE if state != table.ARRIVING])
def test_every_state_with_a_dialog_ends_when_it_is_lost(state: str) -> None:
    assert ROWS[state][table.CALLER_LOST][0] == OVER


@pytest.mark.parametrize("event", [event for event, (after, _) in ROWS[table.OFFERING].items() if after == OVER])
def test_whatever_ends_an_offered_call_stops_the_phone(event: str) -> None:
    assert ROWS[table.OFFERING][event][1].split()[0] == "stop_ringing"


@pytest.mark.parametrize("state", [table.QUEUED, table.OFFERING])
def test_whatever_ends_a_waiting_call_tells_the_broker_but_its_own_refusal(state: str) -> None:
    ends = {event: names for event, (after, names) in ROWS[state].items() if after == OVER}
    assert [event for event, names in ends.items() if "leave_queue" not in names.split()] == [table.REFUSED]


def test_nothing_happens_to_a_call_that_is_over() -> None:
    assert ROWS[OVER] == {}


def test_every_destination_of_a_number_has_its_event() -> None:
    assert set(ENTRIES) == set(Kind) - {Kind.REPEAT}
    assert all(event in ROWS[table.TREATMENT] for event in ENTRIES.values())
