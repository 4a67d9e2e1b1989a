"""How every process lives: uvloop, signals, the collector's schedule, an orderly end.

SIGTERM asks to drain (no new work, end when idle), a second SIGTERM or SIGINT to stop now.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Final

from common.service.config import ConfigError

GC_THRESHOLDS: Final = (50_000, 20, 100)
"""Calls make no cycles (a test counts them), so the collector may run rarely: its pauses are what limits a Python
SIP server first."""


class Lifecycle:
    """What a process's main waits for."""

    def __init__(self) -> None:
        self.draining = asyncio.Event()
        self.stopping = asyncio.Event()

    def on_terminate(self) -> None:
        """SIGTERM: first drain, then stop."""
        if self.draining.is_set():
            self.stopping.set()
        self.draining.set()

    def on_interrupt(self) -> None:
        """SIGINT: stop now."""
        self.draining.set()
        self.stopping.set()


def settle_collector() -> None:
    """Call when start-up is over: what is alive now stays and need not be looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def raise_descriptor_limit() -> None:
    """Take as many descriptors as the system grants: the usual 1,024 end below the phones of one node."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def run(main: Callable[[Lifecycle], Awaitable[int]]) -> int:
    """Run a process's main on uvloop (asyncio's loop where uvloop is absent) until it returns its exit code.

    A ConfigError ends it with its text and 1: a file that is read late (tokens) fails like one that is read early.
    """

    raise_descriptor_limit()

    async def guarded() -> int:
        lifecycle = Lifecycle()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, lifecycle.on_terminate)
        loop.add_signal_handler(signal.SIGINT, lifecycle.on_interrupt)
        try:
            return await main(lifecycle)
        except ConfigError as error:
            print(error, file=sys.stderr)
            return 1

    if sys.platform == "linux":
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(guarded())
    return asyncio.run(guarded())
