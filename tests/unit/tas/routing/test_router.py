"""The number plan."""

from __future__ import annotations

import pytest

from common.contracts.outcome import Reason
from tas.config import MenuEntry, OutsideEntry, RoutingFile, Target
from tas.routing.router import Kind, NoRoute, Origin, Router, destination

ROUTING = RoutingFile(
    numbers={"8000": Target(queue="support"), "8100": Target(menu="main"), "9196": Target(echo=True),
             "0800": Target(hangup=True), "8001": Target(agent="1002")},
    outside=[OutsideEntry(prefix="0", trunk="pbx"), OutsideEntry(prefix="00", trunk="carrier", strip=1),
             OutsideEntry(prefix="*9", trunk="pbx", strip=4)],
    menus={"main": MenuEntry(prompt="menu", choices={})},
)  # fmt: skip
ROUTER = Router(ROUTING, ["1001", "1002", "8000"])


def route(number: str, origin: Origin = Origin.TRUNK) -> tuple[Kind, str, str]:
    found = ROUTER.route(number, origin)
    return found.kind, found.name, found.number


def refusal(number: str, origin: Origin = Origin.TRUNK) -> tuple[int, Reason]:
    with pytest.raises(NoRoute) as caught:
        ROUTER.route(number, origin)
    return caught.value.status, caught.value.cause


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("8100", (Kind.MENU, "main", "")),
        ("9196", (Kind.ECHO, "", "")),
        ("8001", (Kind.AGENT, "1002", "")),
        ("1001", (Kind.AGENT, "1001", "")),
    ],
)
def test_number_leads_where_it_should(number: str, expected: tuple[Kind, str, str]) -> None:
    assert route(number) == expected
    assert route(number, Origin.AGENT) == expected


def test_number_of_the_plan_wins_over_an_agent_of_that_number() -> None:
    assert route("8000") == (Kind.QUEUE, "support", "")


def test_number_of_the_plan_wins_over_an_outside_prefix() -> None:
    assert route("0800", Origin.AGENT) == (Kind.HANGUP, "", "")


def test_agent_dials_out_over_the_trunk_of_the_prefix() -> None:
    assert route("0451234", Origin.AGENT) == (Kind.OUTSIDE, "pbx", "0451234")


def test_longest_prefix_counts_and_is_stripped() -> None:
    assert route("00451234", Origin.AGENT) == (Kind.OUTSIDE, "carrier", "0451234")


@pytest.mark.parametrize("number", ["0451234", "00451234"])
def test_trunk_may_not_dial_out(number: str) -> None:
    assert refusal(number) == (403, Reason.NOT_ALLOWED)


@pytest.mark.parametrize("number", ["", "0", "9999", "80000", "anonymous", "*9", "*912"])
def test_number_that_leads_nowhere_is_not_found(number: str) -> None:
    assert refusal(number, Origin.AGENT) == (404, Reason.UNKNOWN_NUMBER)


def test_number_as_short_as_what_is_stripped_leaves_nothing_to_dial() -> None:
    assert refusal("*912", Origin.AGENT) == (404, Reason.UNKNOWN_NUMBER)
    assert route("*9123", Origin.AGENT) == (Kind.OUTSIDE, "pbx", "3")


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        (Target(queue="a"), Kind.QUEUE),
        (Target(menu="a"), Kind.MENU),
        (Target(agent="a"), Kind.AGENT),
        (Target(echo=True), Kind.ECHO),
        (Target(repeat=True), Kind.REPEAT),
        (Target(hangup=True), Kind.HANGUP),
    ],
)
def test_every_target_has_its_kind(target: Target, kind: Kind) -> None:
    assert destination(target).kind is kind
