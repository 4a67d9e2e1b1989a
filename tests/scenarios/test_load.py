"""Load on the virtual clock: loss, bursts, CPU, and no cyclic garbage through the whole call control."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from time import process_time
from typing import Final

import pytest

from common.service.aio.lifecycle import settle_collector
from tas.sip.parser import parse_message
from tests.scenarios.support.lab import Lab
from tests.scenarios.support.scripted import ScriptedCallers, ScriptedPhones

LOSS: Final = 0.1
CALLS: Final = 2000
BURST: Final = 20
BURSTS_PER_SECOND: Final = 10.0
CPU_S: Final = 2.0
YARD: Final = 150
SAMPLE: Final = (
    b"BYE sip:tas@127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.2:5080;rport;branch=z9hG4bK1\r\n"
    b"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n"
)


@pytest.fixture
def settled_collector() -> Iterator[None]:
    """The garbage collector as every process of ours sets it after its start."""
    before = gc.get_threshold()
    settle_collector()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def load_lab(*, loss: float, agents: int = 20) -> tuple[Lab, ScriptedCallers]:
    """A lab whose callers and registered phones are scripts, and that keeps no records."""
    lab = Lab(media=2)
    phones = lab.agents(agents)
    lab.world.wire = None
    lab.world.loss = loss
    lab.tas[0].keep_ended = False
    callers = ScriptedCallers(lab.world, lab.pbx.address, lab.tas[0].address)
    ScriptedPhones(lab.world, [phone.address for phone in phones])
    lab.run(10.0)
    return lab, callers


def place_calls(lab: Lab, callers: ScriptedCallers, count: int) -> float:
    """Start calls to all agents in turn, in bursts; returns how long that takes."""
    numbers = list(lab.phones)
    for index in range(count):
        at = index // BURST / BURSTS_PER_SECOND
        lab.world.after(at, callers, callers.call, numbers[index % len(numbers)])
    return count / BURST / BURSTS_PER_SECOND


def yardstick() -> float:
    """CPU seconds of a small piece of work that is always the same."""
    start = process_time()
    for _ in range(YARD):
        parse_message(SAMPLE)
    return process_time() - start


def fair_cpu(lab: Lab, seconds: int) -> float:
    """CPU time of running a lab for so long, without what neighbours on the machine add to it.

    They can make CPU time several times what the same work takes alone. So each second's CPU is measured beside a
    yardstick, and counted as if the yardstick had been the shortest of all.
    """
    spent, yards = [], [yardstick()]
    for _ in range(seconds):
        start = process_time()
        lab.run(1.0)
        spent.append(process_time() - start)
        yards.append(yardstick())
    shortest = min(yards)
    return sum(
        cpu * 2 * shortest / (before + after) for cpu, before, after in zip(spent, yards, yards[1:], strict=False)
    )


@pytest.mark.usefixtures("settled_collector")
def test_two_thousand_two_leg_calls_with_a_tenth_lost_each_way_all_complete_in_two_seconds_of_cpu() -> None:
    lab, callers = load_lab(loss=LOSS)
    spent = fair_cpu(lab, int(place_calls(lab, callers, CALLS)) + 20)
    assert (callers.answered, callers.ended, callers.refused) == (CALLS, CALLS, [])
    lab.assert_nothing_left(calls=CALLS)
    assert Counter(row.result for row in lab.cdrs) == {"answered": CALLS}
    print(f"CPU of {CALLS} calls: {spent:.2f} s")
    assert spent < CPU_S


def test_thousand_calls_through_the_call_control_leave_no_cyclic_garbage() -> None:
    lab, callers = load_lab(loss=0.0)
    place_calls(lab, callers, 50)
    lab.run(60.0)
    gc.collect()
    gc.disable()
    try:
        lab.run(place_calls(lab, callers, 1000) + 70.0)
        assert len(lab.cdrs) == 1050
        assert gc.collect() == 0
    finally:
        gc.enable()
    lab.assert_nothing_left(calls=1050)
