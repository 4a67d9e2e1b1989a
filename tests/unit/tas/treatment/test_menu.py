"""The menu of the lab: play, take a digit, route, repeat, time out."""

from __future__ import annotations

from typing import Any

import pytest

from common.contracts.media import Digit, PlayFinished
from tas.calls import table
from tas.calls.call import Call
from tests.unit.tas.rig import Rig


class Menu:
    """A caller of 8100 who was answered."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.call: Call = self.rig.call(b"8100")
        self.rig.in_dialog(b"ACK", cseq=1)

    def digit(self, digit: str) -> None:
        self.rig.server.tell("session.digit", Digit(self.call.caller.session, digit, 100))
        self.rig.turn()

    def played(self, play_id: int | None = None) -> None:
        """A prompt ends: the one that plays now, or an older one."""
        now = self.call.play_id if play_id is None else play_id
        self.rig.server.tell("play.finished", PlayFinished(self.call.caller.session, now, "end"))
        self.rig.turn()

    def asked(self) -> list[dict[str, Any]]:
        """What the media server was asked to change."""
        return [params for method, params in self.rig.asked() if method == "session.modify"]

    def played_files(self) -> list[list[str]]:
        return [params["play"]["files"] for params in self.asked() if params["play"]]


def test_prompt_comes_with_the_session_and_any_digit_stops_it() -> None:
    menu = Menu()
    (create,) = [params for method, params in menu.rig.asked() if method == "session.create"]
    assert create["play"] == {"play_id": 1, "files": ["menu"], "loop_from": None, "interrupt_on_digit": True}
    assert (menu.call.state, menu.call.timers) == (table.TREATMENT, {})


def test_time_for_a_digit_begins_when_the_prompt_ends() -> None:
    menu = Menu()
    menu.rig.pass_time(60.0)
    assert menu.call.state == table.TREATMENT
    menu.played()
    menu.asked()
    menu.rig.pass_time(4.9)
    assert menu.asked() == []
    menu.rig.pass_time(0.1)
    assert menu.played_files() == [["menu"]]


def test_end_of_an_older_prompt_does_not_begin_the_time() -> None:
    menu = Menu()
    menu.digit("9")
    menu.played(1)
    assert menu.call.timers == {}
    menu.played()
    assert set(menu.call.timers) == {table.MENU_OVER}


def test_digit_of_the_menu_leads_where_it_says_and_stops_the_clock() -> None:
    menu = Menu()
    menu.played()
    menu.digit("1")
    assert (menu.call.state, menu.call.queue, menu.call.timers) == (table.QUEUED, "support", {})


def test_digit_leads_to_the_echo_test_where_digits_mean_nothing() -> None:
    menu = Menu()
    menu.asked()
    menu.digit("3")
    (change,) = menu.asked()
    assert (change["echo"], change["stop_play"]) == (True, True)
    menu.digit("1")
    menu.played(menu.call.play_id)
    assert (menu.call.state, menu.call.timers, menu.asked()) == (table.TREATMENT, {}, [])


def test_repeat_on_request_is_no_repetition_that_counts() -> None:
    menu = Menu()
    for _ in range(10):
        menu.digit("9")
    assert (menu.call.state, menu.call.menu_repeats) == (table.TREATMENT, 0)
    assert menu.played_files() == [["menu"]] * 10


@pytest.mark.parametrize("digit", ["7", "*", "#", "A"])
def test_digit_without_a_meaning_repeats_the_prompt(digit: str) -> None:
    menu = Menu()
    menu.asked()
    menu.digit(digit)
    assert (menu.played_files(), menu.call.menu_repeats) == ([["menu"]], 1)


def test_wrong_digits_and_silences_together_end_in_on_timeout() -> None:
    menu = Menu()
    menu.digit("7")
    menu.played()
    menu.rig.pass_time(5.0)
    assert (menu.call.state, menu.call.menu_repeats) == (table.TREATMENT, 2)
    menu.digit("7")
    assert (menu.call.state, menu.call.queue) == (table.QUEUED, "support")


def test_choice_of_an_agent_without_a_phone_ends_the_answered_caller() -> None:
    menu = Menu()
    menu.rig.sent()
    menu.digit("2")
    assert menu.rig.starts() == [b"BYE"]
    assert [row.reason for row in menu.rig.rows] == ["not_registered"]


def test_caller_who_leaves_the_menu_leaves_nothing() -> None:
    menu = Menu()
    menu.played()
    menu.rig.in_dialog(b"BYE")
    assert [row.reason for row in menu.rig.rows] == ["completed"]
    assert menu.rig.node.counts()["call_timers"] == 0
