"""mediaserver/native/engine.c and shard.c as they run: a control thread and two shards under churn."""

from __future__ import annotations

from pathlib import Path

from tests.native.support import HERE, MEMORY, NATIVE, THREADS, gcc, needs, run


def check(program: Path) -> None:
    added, digits, events, packets_in, packets_out = map(int, run(program, "churn").split())
    assert added > 100
    assert digits > 0
    assert events > digits
    assert packets_in > 100
    assert packets_out > 100


@needs(THREADS)
def test_churn_has_no_data_race_and_leaves_nothing(tmp_path: Path) -> None:
    check(gcc(THREADS, [HERE / "churn_engine.c", *sorted(NATIVE.glob("*.c"))], tmp_path / "churn"))


@needs(MEMORY)
def test_churn_has_no_memory_fault_and_leaves_nothing(tmp_path: Path, engine_object: Path) -> None:
    check(gcc(MEMORY, [HERE / "churn_engine.c", engine_object], tmp_path / "churn"))
