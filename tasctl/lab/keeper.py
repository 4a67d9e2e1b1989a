"""One child process of the lab: started, watched, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import Final

from common.service.aio.children import die_with_parent
from tasctl.lab.plan import Child

STOP_TIMEOUT_S: Final = 8.0
LOG_TAIL_LINES: Final = 12
LOG_TAIL_BYTES: Final = 16 * 1024


def say(text: str) -> None:
    """A progress line. Where it goes may be gone (a closed terminal or pipe): the lab must stop in order even then."""
    with contextlib.suppress(OSError, ValueError):
        print(text, flush=True)


class Keeper:
    """Keeps one child running."""

    def __init__(self, child: Child, folder: Path) -> None:
        self.child = child
        self.log = folder / f"{child.name}.log"
        self.process: asyncio.subprocess.Process | None = None
        self.was_ready = False
        self.deaths = 0
        if self.log.exists():  # of the lab before: its faults are not this one's
            self.log.replace(self.log.with_suffix(".log.old"))

    @property
    def pid(self) -> int:
        """Of the running process, else 0."""
        return 0 if self.process is None else self.process.pid

    async def start(self) -> None:
        """Start the child with its output going to its log."""
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.child.arguments,
                env={**os.environ, **self.child.environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    async def ended(self) -> int:
        """Wait for the end; the exit code."""
        assert self.process is not None
        return await self.process.wait()

    def tail(self) -> str:
        """The end of the log."""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - LOG_TAIL_BYTES))
            lines = log.read().decode("utf-8", "replace").splitlines()[-LOG_TAIL_LINES:]
        return "\n".join(f"    {line}" for line in lines)

    async def stop(self, hurry: asyncio.Event) -> None:
        """SIGINT; SIGKILL when that is not enough, or at once when somebody is in a hurry."""
        process = self.process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGINT)
        loop = asyncio.get_running_loop()
        waits = [loop.create_task(process.wait()), loop.create_task(hurry.wait())]
        await asyncio.wait(waits, timeout=STOP_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        waits[1].cancel()
        if not waits[0].done():
            say(f"{self.child.name}: {'killed' if hurry.is_set() else 'does not stop, killed'}")
            process.kill()
            await waits[0]
