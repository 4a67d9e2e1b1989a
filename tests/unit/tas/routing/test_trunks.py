"""Trunks: known by their address, up or down by their OPTIONS."""

from __future__ import annotations

import pytest

from tas.config import TrunkEntry
from tas.routing.trunks import FIRST_OPTIONS_S, OPTIONS_RETRY_S, Trunks

START = 100.0


def entry(*, interval: float = 30.0, channels: int = 0, sources: tuple[str, ...] = ("192.0.2.1",)) -> TrunkEntry:
    return TrunkEntry(
        sources=list(sources), target="192.0.2.1:5060", options_interval_s=interval, max_channels=channels
    )


def one(interval: float = 30.0) -> Trunks:
    return Trunks({"pbx": entry(interval=interval)}, START)


def test_every_source_belongs_to_its_trunk_and_no_other_address_does() -> None:
    trunks = Trunks({"a": entry(sources=("192.0.2.1", "192.0.2.2")), "b": entry(sources=("192.0.2.3",))}, START)
    found = [trunks.by_source(f"192.0.2.{host}") for host in (1, 2, 3, 4)]
    assert [trunk.name if trunk else None for trunk in found] == ["a", "a", "b", None]


def test_first_options_is_due_soon_after_the_start() -> None:
    trunks = one()
    assert trunks.next_timeout() == START + FIRST_OPTIONS_S
    assert trunks.take_due(START) == []
    assert trunks.take_due(START + FIRST_OPTIONS_S) == [trunks.by_name["pbx"]]


def test_trunk_asked_once_is_not_asked_again_before_its_answer() -> None:
    trunks = one()
    trunks.take_due(START + 1)
    assert trunks.take_due(START + 1000) == []
    assert trunks.next_timeout() is None


def test_trunk_without_an_interval_is_never_asked_and_counts_as_up() -> None:
    trunks = one(interval=0)
    assert trunks.next_timeout() is None
    assert trunks.take_due(START + 1000) == []
    assert trunks.by_name["pbx"].up


def test_no_trunks_have_no_timer() -> None:
    assert Trunks({}, START).next_timeout() is None


@pytest.mark.parametrize("status", [408, 503])
def test_trunk_without_a_usable_answer_is_down_and_asked_again_soon(status: int) -> None:
    trunks = one()
    (trunk,) = trunks.take_due(START + 1)
    assert trunks.received_answer(trunk, status, START + 2)
    assert not trunk.up
    assert trunks.next_timeout() == START + 2 + OPTIONS_RETRY_S


@pytest.mark.parametrize("status", [200, 401, 404, 405, 483, 486, 500, 501, 604])
def test_any_other_answer_shows_a_living_call_manager(status: int) -> None:
    trunks = one()
    trunk = trunks.by_name["pbx"]
    trunks.received_answer(trunk, 408, START)
    assert trunks.received_answer(trunk, status, START + 5)
    assert trunk.up
    assert trunks.next_timeout() == START + 35


def test_answer_that_changes_nothing_says_so() -> None:
    trunks = one()
    assert not trunks.received_answer(trunks.by_name["pbx"], 200, START)


def test_trunk_is_full_at_its_channels_and_one_without_a_number_never() -> None:
    trunks = Trunks({"two": entry(channels=2), "any": entry(sources=("192.0.2.9",))}, START)
    two, any_ = trunks.by_name["two"], trunks.by_name["any"]
    two.channels = any_.channels = 1
    assert not two.full
    two.channels, any_.channels = 2, 10_000
    assert two.full
    assert not any_.full


def test_uri_of_a_number_names_tls_when_the_trunk_speaks_it() -> None:
    (plain,) = one().by_name.values()
    assert (plain.uri(), plain.uri(b"0123")) == (b"sip:192.0.2.1:5060", b"sip:0123@192.0.2.1:5060")
    secured = TrunkEntry(sources=["192.0.2.1"], target="192.0.2.1:5061", transport="tls")
    (trunk,) = Trunks({"pbx": secured}, START).by_name.values()
    assert trunk.uri(b"0123") == b"sip:0123@192.0.2.1:5061;transport=tls"
