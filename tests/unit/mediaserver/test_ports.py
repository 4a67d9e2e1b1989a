"""mediaserver/ports.py"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mediaserver.ports import COOL_DOWN_S, MIN_COOL_DOWN_S, PortPool


def first(_below: int) -> int:
    return 0


@pytest.mark.parametrize(
    ("low", "high", "ports"),
    [
        (20000, 20005, [20000, 20002, 20004]),
        (20001, 20005, [20002, 20004]),
        (20001, 20004, [20002, 20004]),
        (65534, 65535, [65534]),
    ],
)
def test_pool_holds_the_even_ports_of_its_range(low: int, high: int, ports: list[int]) -> None:
    pool = PortPool(low, high, first)
    assert len(pool) == len(ports)
    assert sorted(pool.take(0.0) or 0 for _ in ports) == ports
    assert pool.take(0.0) is None


def test_ports_are_taken_at_random() -> None:
    orders = set()
    for seed in range(5):
        pool = PortPool(20000, 20099, random.Random(seed).randrange)
        orders.add(tuple(pool.take(0.0) for _ in range(50)))
    assert len(orders) == 5


def test_port_rests_before_it_is_taken_again() -> None:
    pool = PortPool(20000, 20003, first)
    assert {pool.take(0.0), pool.take(0.0)} == {20000, 20002}
    pool.give_back(20002, 10.0)
    assert pool.take(10.0 + MIN_COOL_DOWN_S - 0.001) is None
    assert pool.take(10.0 + MIN_COOL_DOWN_S) == 20002, "sooner than COOL_DOWN_S, as there is no other"


def test_rested_port_is_preferred_to_one_that_rests() -> None:
    pool = PortPool(20000, 20003, first)
    for _ in range(2):
        pool.take(0.0)
    pool.give_back(20000, 10.0)
    pool.give_back(20002, 13.0)
    assert pool.take(10.0 + COOL_DOWN_S) == 20000
    assert len(pool) == 0


class PoolOnAClock(RuleBasedStateMachine):
    """Any order of takes, returns and waits: no port twice, none before its rest, none lost."""

    def __init__(self) -> None:
        super().__init__()
        self.random: Callable[[int], int] = random.Random(1).randrange
        self.all = set(range(20000, 20012, 2))
        self.pool = PortPool(20000, 20011, self.random)
        self.now = 0.0
        self.taken: set[int] = set()
        self.given_back: dict[int, float] = {}

    @rule()
    def take(self) -> None:
        rested = [port for port, at in self.given_back.items() if at + COOL_DOWN_S <= self.now]
        fresh = self.all - self.taken - set(self.given_back)
        port = self.pool.take(self.now)
        if port is None:
            assert not fresh
            assert all(at + MIN_COOL_DOWN_S > self.now for at in self.given_back.values())
            return
        assert port in self.all
        assert port not in self.taken
        at = self.given_back.pop(port, None)
        if at is not None and at + COOL_DOWN_S > self.now:
            assert not fresh
            assert not rested
            assert at + MIN_COOL_DOWN_S <= self.now
        self.taken.add(port)

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        port = data.draw(st.sampled_from(sorted(self.taken)))
        self.taken.remove(port)
        self.given_back[port] = self.now
        self.pool.give_back(port, self.now)

    @rule(seconds=st.sampled_from([0.0, 0.3, 0.7, 1.0, 4.0, 5.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def none_is_lost(self) -> None:
        assert len(self.pool) <= len(self.all) - len(self.taken)


TestPoolOnAClock = PoolOnAClock.TestCase
TestPoolOnAClock.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
