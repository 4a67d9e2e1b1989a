"""The TEST()s of the C files beside this one, each against the source file of its name, under ASan and UBSan."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.native.conftest import Program
from tests.native.support import HERE, MEMORY, names_in, needs

SOURCES: list[str] = sorted(path.name for path in Path(HERE).glob("test_*.c"))


@needs(MEMORY)
@pytest.mark.parametrize(("source", "test"), [(source, test) for source in SOURCES for test in names_in(source)])
def test_native(program: Program, source: str, test: str) -> None:
    program(source, test)
