"""The one timer of a process, on asyncio's loop and on uvloop's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest
import uvloop

from common.service.aio.alarm import TICK_S, Alarm

Runner = Callable[[Coroutine[None, None, None]], None]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Runner:
    """Run a coroutine on a loop of one kind."""

    def start(work: Coroutine[None, None, None]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(work)

    return start


class Rings:
    """What an alarm called, and a way to wait for it."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.times: list[float] = []
        self.rang = asyncio.Event()
        self.alarm = Alarm(self.loop, self._ring)

    def _ring(self, now: float) -> None:
        self.times.append(now)
        self.rang.set()

    async def next(self) -> None:
        async with asyncio.timeout(5):
            await self.rang.wait()
        self.rang.clear()


def test_alarm_fires_once_and_never_before_it_is_due(run: Runner) -> None:
    async def work() -> None:
        rings = Rings()
        for number in range(20):
            due = rings.loop.time() + number * TICK_S / 7
            rings.alarm.set(due)
            await rings.next()
            assert rings.times[-1] >= due
        assert len(rings.times) == 20

    run(work())


def test_deadline_that_is_past_fires_in_the_next_turns(run: Runner) -> None:
    async def work() -> None:
        rings = Rings()
        rings.alarm.set(rings.loop.time() - 100.0)
        await rings.next()
        assert len(rings.times) == 1

    run(work())


def test_earlier_deadline_moves_the_alarm_and_a_later_one_does_not(run: Runner) -> None:
    async def work() -> None:
        rings = Rings()
        now = rings.loop.time()
        rings.alarm.set(now + 1000.0)
        rings.alarm.set(now + 0.005)
        rings.alarm.set(now + 500.0)
        rings.alarm.set(None)
        await rings.next()
        assert rings.times[0] >= now + 0.005
        assert len(rings.times) == 1

    run(work())


def test_cancelled_alarm_is_silent_and_can_be_set_anew(run: Runner) -> None:
    async def work() -> None:
        rings = Rings()
        rings.alarm.set(rings.loop.time())
        rings.alarm.cancel()
        rings.alarm.cancel()
        passed = asyncio.Event()
        rings.loop.call_later(5 * TICK_S, passed.set)
        await passed.wait()
        assert rings.times == []
        rings.alarm.set(rings.loop.time())
        await rings.next()
        assert len(rings.times) == 1

    run(work())


def test_callback_may_set_the_alarm_again(run: Runner) -> None:
    async def work() -> None:
        rings = Rings()
        rings.alarm.set(rings.loop.time())
        await rings.next()
        rings.alarm.set(rings.times[0] + TICK_S)
        await rings.next()
        assert rings.times[1] >= rings.times[0] + TICK_S

    run(work())
