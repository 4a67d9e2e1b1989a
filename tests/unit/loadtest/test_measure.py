"""CPU and memory by the kernel's accounting, on this very process; percentiles."""

from __future__ import annotations

import os
import threading

import pytest

from loadtest.measure import cpu_s, percentile, rss_kb, threads_cpu_s


def burn(rounds: int) -> int:
    return sum(n * n for n in range(rounds))


def test_cpu_of_a_process_grows_with_its_work() -> None:
    before = cpu_s(os.getpid())
    burn(300_000)
    assert cpu_s(os.getpid()) > before


def test_cpu_is_told_apart_by_thread() -> None:
    done = threading.Event()
    busy = threading.Thread(target=lambda: (burn(300_000), done.wait(5)))
    idle = threading.Thread(target=done.wait, args=(5,))
    for thread in (busy, idle):
        thread.start()
    try:
        main = threads_cpu_s(os.getpid())
        assert {busy.native_id, idle.native_id, os.getpid()} <= set(main)
        assert all(seconds >= 0 for seconds in main.values())
    finally:
        done.set()
        for thread in (busy, idle):
            thread.join()


def test_resident_memory_is_that_of_a_python_process() -> None:
    assert 5_000 < rss_kb(os.getpid()) < 5_000_000


@pytest.mark.parametrize(("share", "value"), [(0.0, 1.0), (0.5, 3.0), (0.95, 5.0), (1.0, 5.0)])
def test_percentile_is_a_value_of_the_list(share: float, value: float) -> None:
    assert percentile([5.0, 3.0, 1.0, 4.0, 2.0], share) == value
