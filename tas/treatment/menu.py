"""Menus: play, take a digit, route, repeat, time out; and the echo test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common.contracts.media import SessionModify
from common.contracts.outcome import Reason
from tas.calls import sessions, table
from tas.routing.router import Destination, Kind, destination

if TYPE_CHECKING:
    from tas.calls.call import Call


def start_menu(call: Call, _data: Any, _now: float) -> None:
    """The prompt plays already; count from the first time."""
    call.menu_repeats = 0


def play_menu(call: Call, _data: Any, now: float) -> None:
    """Play the menu's prompt (again)."""
    call.clear_timer(table.MENU_OVER)
    play = sessions.menu_play(call)
    sessions.modify(call, SessionModify(call.caller.session, echo=False, play=play), now)


def start_echo(call: Call, _data: Any, now: float) -> None:
    """A menu choice led to the echo test."""
    sessions.modify(call, SessionModify(call.caller.session, stop_play=True, echo=True), now)


def wait_for_digit(call: Call, data: Any, now: float) -> None:
    """The prompt ended (`data` is its play id): the caller's time begins."""
    if data == call.play_id and call.destination.kind is Kind.MENU:
        call.set_timer(table.MENU_OVER, call.control.router.menus[call.destination.name].timeout_s, now)


def choose_from_menu(call: Call, data: Any, now: float) -> None:
    """A digit: route, or repeat when it means nothing here."""
    if call.destination.kind is not Kind.MENU:
        return
    call.clear_timer(table.MENU_OVER)
    menu = call.control.router.menus[call.destination.name]
    target = menu.choices.get(str(data))
    if target is None:
        repeat_or_leave_menu(call, None, now)
    else:
        _go(call, destination(target), now)


def repeat_or_leave_menu(call: Call, _data: Any, now: float) -> None:
    """No digit in time, or a wrong one."""
    menu = call.control.router.menus[call.destination.name]
    if call.menu_repeats < menu.repeats:
        call.menu_repeats += 1
        play_menu(call, None, now)
    elif menu.on_timeout.hangup:
        call.feed(table.HANG_UP, Reason.MENU_TIMEOUT, now)
    else:
        _go(call, destination(menu.on_timeout), now)


def _go(call: Call, where: Destination, now: float) -> None:
    call.play_id += 1  # what still plays of the menu is of no interest any more
    if where.kind is Kind.REPEAT:
        play_menu(call, None, now)
    else:
        call.enter(where, now)
