"""Tables: every machine of SIP is complete and steps as written."""

from __future__ import annotations

import pytest

from tas.sip.invite import exchange, table
from tas.sip.invite.exchange import Exchange
from tas.sip.invite.usage import InviteUsage
from tas.sip.machine import Rows, compile_rows, step
from tas.sip.message import Request, Response
from tas.sip.transaction import invite_client, invite_server, non_invite_client, non_invite_server


class Door:
    """The smallest machine."""

    def __init__(self) -> None:
        self.state = "open"
        self.log: list[str] = []

    def _squeak(self, message: Request | Response | None, now: float) -> None:
        self.log.append(f"squeak {self.state}")

    def _bang(self, message: Request | Response | None, now: float) -> None:
        self.log.append("bang")


DOOR: Rows = {"open": {"push": ("shut", "squeak bang")}, "shut": {}}


def test_step_changes_the_state_before_the_actions_run_in_order() -> None:
    door = Door()
    assert step(compile_rows(DOOR, Door), door, "push", None, 0.0)
    assert (door.state, door.log) == ("shut", ["squeak shut", "bang"])


def test_input_without_a_row_is_ignored_and_said() -> None:
    door = Door()
    door.state = "shut"
    assert not step(compile_rows(DOOR, Door), door, "push", None, 0.0)
    assert (door.state, door.log) == ("shut", [])


def test_unknown_action_name_is_found_when_the_table_is_compiled() -> None:
    with pytest.raises(AttributeError):
        compile_rows({"open": {"push": ("shut", "explode")}}, Door)


@pytest.mark.parametrize(
    "rows",
    [
        invite_client.ROWS,
        invite_server.ROWS,
        non_invite_client.ROWS,
        non_invite_server.ROWS,
        table.ROWS,
        exchange.ROWS,
    ],
)
def test_every_state_that_a_row_leads_to_is_in_the_table_and_reachable(rows: Rows) -> None:
    targets = {after for inputs in rows.values() for after, _ in inputs.values()}
    assert targets <= set(rows)
    starts = {"calling", "trying", "proceeding", "invited", "idle"}
    assert set(rows) - targets <= starts


def test_usage_and_exchange_have_the_tables_that_are_written_down() -> None:
    assert InviteUsage.TABLE.keys() == table.ROWS.keys()
    assert Exchange.TABLE.keys() == exchange.ROWS.keys()
