"""Signals and the end of a process: in a process of its own, signalled for real."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[5]
TIMEOUT_S = 30.0

PROGRAM = """
    import asyncio, sys
    from common.service.aio.lifecycle import Lifecycle, run
    from common.service.config import ConfigError

    async def main(lifecycle: Lifecycle) -> int:
        print(type(asyncio.get_running_loop()).__module__, flush=True)
        if "bad" in sys.argv:
            raise ConfigError("tokens.toml: cannot be read")
        await lifecycle.draining.wait()
        print("drains", flush=True)
        await lifecycle.stopping.wait()
        print("stops", flush=True)
        return 7

    sys.exit(run(main))
"""


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process that tells its phases line by line; its first line, the loop, is read."""
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), *arguments]
    started = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert started.stdout is not None
        assert started.stdout.readline().strip() == ("uvloop" if sys.platform == "linux" else "asyncio")
        yield started
    finally:
        started.kill()
        started.communicate()


def test_first_sigterm_drains_and_a_second_one_stops() -> None:
    with process() as running:
        assert running.stdout is not None
        running.send_signal(signal.SIGTERM)
        assert running.stdout.readline() == "drains\n"
        assert running.poll() is None
        running.send_signal(signal.SIGTERM)
        assert running.stdout.readline() == "stops\n"
        assert running.wait(TIMEOUT_S) == 7


@pytest.mark.parametrize("first", [None, signal.SIGTERM])
def test_sigint_stops_at_once_also_while_draining(first: signal.Signals | None) -> None:
    with process() as running:
        if first is not None:
            assert running.stdout is not None
            running.send_signal(first)
            assert running.stdout.readline() == "drains\n"
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=TIMEOUT_S)
        assert out.endswith("stops\n")
        assert (running.returncode, err) == (7, "")


def test_configuration_fault_ends_with_its_text_and_no_traceback() -> None:
    with process("bad") as running:
        out, err = running.communicate(timeout=TIMEOUT_S)
        assert (running.returncode, out, err) == (1, "", "tokens.toml: cannot be read\n")


def test_collector_is_settled() -> None:
    program = """
        import gc
        from common.service.aio.lifecycle import GC_THRESHOLDS, settle_collector
        settle_collector()
        assert gc.get_threshold() == GC_THRESHOLDS, gc.get_threshold()
        assert gc.get_freeze_count() > 1000
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], cwd=ROOT, check=False)
    assert done.returncode == 0


def test_process_takes_all_descriptors_the_system_grants() -> None:
    program = """
        import resource
        from common.service.aio.lifecycle import run
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
        async def main(lifecycle):
            return 0 if resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard) else 1
        raise SystemExit(run(main))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], cwd=ROOT, check=False)
    assert done.returncode == 0
