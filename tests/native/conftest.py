"""The engine's C files, compiled once per worker with AddressSanitizer and UBSan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.native.support import HERE, MEMORY, NATIVE, gcc, run

Program = Callable[[str, str], bytes]


@pytest.fixture(scope="session")
def engine_object(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All C files of the engine as one relocatable object."""
    out = tmp_path_factory.mktemp("native") / "engine.o"
    return gcc([*MEMORY, "-r", "-nostdlib"], sorted(NATIVE.glob("*.c")), out)


@pytest.fixture(scope="module")
def program(engine_object: Path, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """Run a TEST of a C file of this folder, which is built when it is first asked for."""
    folder = tmp_path_factory.mktemp("program")
    built: dict[str, Path] = {}

    def run_test(source: str, test: str) -> bytes:
        if source not in built:
            built[source] = gcc(MEMORY, [HERE / source, engine_object], folder / Path(source).stem)
        return run(built[source], test)

    return run_test
