"""mediaserver/native/engine.c and shard.c as they run: a control thread and two shards under churn."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.mediaserver.native.support import HERE, MEMORY, NATIVE, THREADS, gcc, needs, run


@pytest.mark.parametrize(
    "sanitizer",
    [pytest.param(THREADS, marks=needs(THREADS), id="tsan"), pytest.param(MEMORY, marks=needs(MEMORY), id="asan")],
)
def test_churn_races_with_nothing_and_leaves_nothing(sanitizer: list[str], tmp_path: Path) -> None:
    sources = [HERE / "churn_engine.c", *sorted(NATIVE.glob("*.c"))]
    program = gcc(sanitizer, sources, tmp_path / "churn")
    added, digits, events, packets_in, packets_out = map(int, run(program, "churn").split())
    assert added > 100
    assert digits > 0
    assert events > digits
    assert packets_in > 100
    assert packets_out > 100
