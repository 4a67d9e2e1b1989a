"""Builds the engine's real C files with sanitizers, and runs C test programs against them."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NATIVE = Path(__file__).resolve().parents[2] / "mediaserver" / "native"
FLAGS = ["-std=gnu11", "-O1", "-g1", "-Wall", "-Wextra", "-Werror", "-fno-strict-aliasing", "-pthread"]
FLAGS += [f"-I{NATIVE}", f"-I{HERE}"]
MEMORY = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
THREADS = ["-fsanitize=thread", "-Wno-tsan"]
"""-Wno-tsan: gcc's has no fences; all that the engine's fences order is atomic anyway."""
RUN_TIMEOUT_S = 60


@functools.cache
def lacks(flags: tuple[str, ...]) -> str:
    """Why programs with these sanitizer flags cannot be built and run here; empty when they can."""
    if shutil.which("gcc") is None:
        return "gcc is not installed"
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "program"
        built = subprocess.run(
            ["gcc", *flags, "-x", "c", "-", "-o", str(program)], input=b"int main(void) { return 0; }",
            capture_output=True, check=False,
        )  # fmt: skip
        if built.returncode:
            return f"gcc cannot link {flags[0]}"
        return "" if subprocess.run([program], check=False).returncode == 0 else f"{flags[0]} does not run here"


def needs(flags: list[str]) -> pytest.MarkDecorator:
    """Skip with the reason where the sanitizer is absent."""
    reason = lacks(tuple(flags))
    return pytest.mark.skipif(bool(reason), reason=reason)


def gcc(flags: list[str], sources: Iterable[Path], out: Path) -> Path:
    """Compile and link; what gcc says fails the test."""
    command = ["gcc", *FLAGS, *flags, *map(str, sources), "-o", str(out), "-lm"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return out


def run(program: Path, test: str) -> bytes:
    """Run one test of a program and give what it wrote."""
    ran = subprocess.run([program, test], capture_output=True, timeout=RUN_TIMEOUT_S, check=False)
    assert ran.returncode == 0, ran.stderr.decode(errors="replace")[-4000:]
    return ran.stdout


def names_in(source: str) -> list[str]:
    """Names of the TEST()s in a C file of this folder."""
    names = re.findall(r"^TEST\((\w+)\)", (HERE / source).read_text(), re.MULTILINE)
    assert names, f"{source} has no TEST"
    return names
