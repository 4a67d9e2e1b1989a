"""Timers: order, cancelling, odd delays, bounds."""

from tas.sip.timers import MAX_QUEUES, Timers


class Owner:
    """Writes down what woke it."""

    def __init__(self) -> None:
        self.woken: list[tuple[str, float]] = []

    def on_timer(self, kind: str, now: float) -> None:
        self.woken.append((kind, now))


def test_timers_of_different_delays_fire_in_the_order_of_their_deadlines() -> None:
    timers, owner = Timers(), Owner()
    timers.start(4.0, "late", owner, 0.0)
    timers.start(0.5, "early", owner, 0.0)
    timers.start_odd(2.3, "odd", owner, 0.0)
    assert timers.next_deadline() == 0.5
    timers.fire(4.0)
    assert [kind for kind, _ in owner.woken] == ["early", "odd", "late"]
    assert timers.next_deadline() is None
    assert timers.running == 0


def test_timer_fires_at_its_deadline_and_not_before() -> None:
    timers, owner = Timers(), Owner()
    timers.start(0.5, "A", owner, 1.0)
    timers.fire(1.4999)
    assert owner.woken == []
    timers.fire(1.5)
    assert owner.woken == [("A", 1.5)]


def test_cancelled_timer_neither_fires_nor_delays_the_next() -> None:
    timers, owner = Timers(), Owner()
    for start in (timers.start, timers.start_odd):
        first = start(0.5, "first", owner, 0.0)
        start(0.5, "second", owner, 0.25)
        timers.cancel(first)
        timers.cancel(first)
        assert timers.next_deadline() == 0.75
        timers.fire(0.75)
    assert [kind for kind, _ in owner.woken] == ["second", "second"]
    assert timers.running == 0


def test_cancelling_none_is_harmless() -> None:
    timers = Timers()
    timers.cancel(None)
    assert timers.running == 0


def test_timer_cancelled_by_an_earlier_one_of_the_same_round_does_not_fire() -> None:
    timers, owner = Timers(), Owner()

    class Canceller:
        def on_timer(self, kind: str, now: float) -> None:
            timers.cancel(victim)

    timers.start(0.5, "canceller", Canceller(), 0.0)
    victim = timers.start(1.0, "victim", owner, 0.0)
    timers.fire(2.0)
    assert owner.woken == []
    assert timers.running == 0


def test_more_distinct_delays_than_queues_still_fire_in_order() -> None:
    timers, owner = Timers(), Owner()
    delays = [float(number) for number in range(1, MAX_QUEUES + 9)]
    for delay in reversed(delays):
        timers.start(delay, str(delay), owner, 0.0)
    assert timers.next_deadline() == 1.0
    timers.fire(100.0)
    assert [float(kind) for kind, _ in owner.woken] == delays
