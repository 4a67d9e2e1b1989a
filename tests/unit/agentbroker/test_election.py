"""Leadership over one row: who takes it when, and that the old leader has stopped before."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from agentbroker.election import RENEW_S, STEP_DOWN_S, TAKE_OVER_S, Election, Row


class Store:
    """The lease row with the compare-and-set of BrokerStore, in memory: the virtual clock needs one."""

    def __init__(self) -> None:
        self.row: Row | None = None

    def read(self) -> Row | None:
        return None if self.row is None else Row(self.row.holder, self.row.epoch, self.row.renewed)

    def take(self, me: str, seen: Row | None) -> int:
        if seen is None:
            if self.row is not None:
                return 0
            self.row = Row(me, 1, 0)
            return 1
        assert self.row is not None
        if (self.row.epoch, self.row.renewed) != (seen.epoch, seen.renewed):
            return 0
        self.row = Row(me, seen.epoch + 1, 0)
        return self.row.epoch

    def renew(self, me: str, epoch: int) -> bool:
        if self.row is None or (self.row.holder, self.row.epoch) != (me, epoch):
            return False
        self.row = Row(me, epoch, self.row.renewed + 1)
        return True


def step(election: Election, store: Store, now: float) -> None:
    """One round of a broker's election against a store that answers at once."""
    if election.leading:
        election.renewed(store.renew(election.me, election.epoch), now)
    else:
        seen = store.read()
        if election.observe(seen, now):
            epoch = store.take(election.me, seen)
            if epoch:
                election.took(epoch, now)


def test_first_broker_leads_at_once() -> None:
    election = Election("broker-1")
    step(election, Store(), 0.0)
    assert (election.leading, election.epoch, election.leader) == (True, 1, "broker-1")


def test_standby_knows_the_leader_and_takes_over_when_the_row_stands_still() -> None:
    store, standby = Store(), Election("broker-2")
    store.row = Row("broker-1", 4, 9)
    for now in (0.0, 0.5, 1.0, 1.5):
        step(standby, store, now)
        assert (standby.leading, standby.leader) == (False, "broker-1")
    step(standby, store, TAKE_OVER_S)
    assert (standby.leading, standby.epoch) == (True, 5)


def test_row_that_moves_keeps_the_standby_waiting() -> None:
    store, standby = Store(), Election("broker-2")
    store.row = Row("broker-1", 4, 9)
    for tick in range(40):
        store.renew("broker-1", 4)
        step(standby, store, tick * RENEW_S)
    assert not standby.leading


def test_of_two_standbys_one_takes_the_lease() -> None:
    store = Store()
    store.row = Row("broker-1", 4, 9)
    standbys = [Election("broker-2"), Election("broker-3")]
    for standby in standbys:
        standby.observe(store.read(), 0.0)
    seen = [store.read() for standby in standbys if standby.observe(store.read(), TAKE_OVER_S)]
    epochs = [store.take(standby.me, row) for standby, row in zip(standbys, seen, strict=True)]
    assert epochs == [5, 0]


def test_deposed_leader_steps_down_at_its_next_renewal() -> None:
    store, leader = Store(), Election("broker-1")
    step(leader, store, 0.0)
    store.take("broker-2", store.read())
    step(leader, store, 0.5)
    assert (leader.leading, leader.leader) == (False, "")


@pytest.mark.parametrize(("silent_s", "leading"), [(STEP_DOWN_S - 0.01, True), (STEP_DOWN_S, False)])
def test_leader_whose_store_is_away_steps_down_in_time(silent_s: float, leading: bool) -> None:
    leader = Election("broker-1")
    leader.took(1, 10.0)
    leader.check(10.0 + silent_s)
    assert leader.leading is leading


def test_renewal_counts_from_when_it_was_sent() -> None:
    leader = Election("broker-1")
    leader.took(1, 0.0)
    leader.renewed(True, asked_at=1.0)
    leader.check(1.0 + STEP_DOWN_S)
    assert not leader.leading


def test_leader_that_stepped_down_watches_the_row_from_the_beginning() -> None:
    store, leader = Store(), Election("broker-1")
    step(leader, store, 0.0)
    leader.check(STEP_DOWN_S)
    step(leader, store, STEP_DOWN_S)
    step(leader, store, STEP_DOWN_S + TAKE_OVER_S - 0.01)
    assert not leader.leading
    step(leader, store, STEP_DOWN_S + TAKE_OVER_S)
    assert leader.epoch == 2


class Host:
    """A broker on the virtual clock: renews or watches every RENEW_S, can be paused, its store can be slow."""

    def __init__(self, name: str, store: Store, chance: random.Random) -> None:
        self.election = Election(name)
        self.store = store
        self.chance = chance
        self.due = chance.uniform(0.0, RENEW_S)
        self.paused_until = 0.0
        self.answer: tuple[float, Callable[[], None]] | None = None

    def run(self, now: float) -> None:
        if now < self.paused_until:
            return
        if self.answer is not None and now >= self.answer[0]:
            act, self.answer = self.answer[1], None
            act()
            self.due = now + RENEW_S
        elif self.answer is None and now >= self.due:
            self.ask(now)

    def ask(self, now: float) -> None:
        """The store does its part at once; we hear of it up to RENEW_S later, or never."""
        election, delay = self.election, self.chance.choice([0.0, 0.01, 0.2, RENEW_S - 0.01])
        if election.leading:
            done = self.store.renew(election.me, election.epoch)
            self.answer = (now + delay, lambda: election.renewed(done, now))
        else:
            seen = self.store.read()
            epoch = self.store.take(election.me, seen) if election.observe(seen, now) else 0
            if epoch:
                self.answer = (now + delay, lambda: election.took(epoch, now))
            else:
                self.due = now + RENEW_S

    def acts(self, now: float) -> bool:
        """Whether the broker would send a command now: every act is preceded by check()."""
        if now < self.paused_until:
            return False
        self.election.check(now)
        return self.election.leading


@pytest.mark.parametrize("seed", range(20))
def test_two_brokers_never_act_as_leaders_at_once_whatever_pauses_they_make(seed: int) -> None:
    chance = random.Random(seed)
    store = Store()
    hosts = [Host(f"broker-{number}", store, chance) for number in (1, 2)]
    epochs: list[int] = []
    for tick in range(6000):
        now = tick * 0.01
        if chance.random() < 0.004:
            chance.choice(hosts).paused_until = now + chance.choice([0.3, 1.4, 1.6, 2.5, 5.0])
        for host in chance.sample(hosts, 2):
            host.run(now)
        acting = [host for host in hosts if host.acts(now)]
        assert len(acting) <= 1, now
        epochs += [host.election.epoch for host in acting]
    assert epochs == sorted(epochs), "an epoch never comes back"
    assert len(set(epochs)) > 1, "leadership changed in this run"
