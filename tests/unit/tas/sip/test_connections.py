"""Limits of connections: of the node, of one source, and whom the latter does not concern."""

from __future__ import annotations

import pytest

from tas.sip import connections
from tas.sip.connections import ConnectionLimits


def test_source_at_its_limit_is_refused_and_others_are_not() -> None:
    limits = ConnectionLimits(2)
    assert [limits.admit("192.0.2.1") for _ in range(3)] == [True, True, False]
    assert limits.admit("192.0.2.2")
    assert (limits.total, limits.refused) == (3, 1)


def test_place_of_a_gone_connection_is_free_again_and_nothing_is_remembered() -> None:
    limits = ConnectionLimits(1)
    for _ in range(3):
        assert limits.admit("192.0.2.1")
        limits.release("192.0.2.1")
    assert limits.total == 0
    assert limits._of_source == {}


def test_trunk_may_open_any_number() -> None:
    limits = ConnectionLimits(1, ["192.0.2.9"])
    assert all(limits.admit("192.0.2.9") for _ in range(10))


def test_node_at_its_limit_refuses_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 1)
    limits = ConnectionLimits(5, ["192.0.2.9"])
    assert [limits.admit(host) for host in ("192.0.2.1", "192.0.2.9")] == [True, False]


def test_numbers_differ() -> None:
    limits = ConnectionLimits()
    assert [limits.number() for _ in range(3)] == [1, 2, 3]
