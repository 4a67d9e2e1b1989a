"""Agents: registered by one SIPp, played by another on the same port, shared out over the TAS nodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from loadtest.profile import share_out
from loadtest.sipp import Sipp

REGISTER_RATE: Final = 50.0
UNLIMITED: Final = 100_000_000
"""Calls a phone takes: it is stopped, or ends with its time."""


class RegistrationError(Exception):
    """Phones that could not register; the text says what SIPp saw."""


@dataclass(frozen=True)
class Phones:
    """Phones of one TAS node: all on one port, played by one SIPp."""

    folder: Path
    numbers: list[str]
    server: tuple[str, int]
    port: int

    def register(self, *, expires_s: int = 600) -> None:
        """Register all numbers, or with 0 take them back; raises RegistrationError."""
        folder = self.folder / ("register" if expires_s else "unregister")
        rows = [f"{number};[authentication username={number} password=lab-{number}]" for number in self.numbers]
        sipp = Sipp(folder, "register.xml", self.server, port=self.port, calls=len(rows), rate=REGISTER_RATE, rows=rows)
        sipp.keys = {"expires": str(expires_s)}
        counts = sipp.run()
        if counts.successful != len(rows):
            text = f"{counts.successful} of {len(rows)} phones could {folder.name}"
            raise RegistrationError(f"{text} at {self.server[0]}:{self.server[1]}; see {folder}/")

    def answer(self, timeout_s: int) -> Sipp:
        """Answer calls until stopped, or for `timeout_s`."""
        sipp = Sipp(self.folder / "phones", "uas_agent.xml", port=self.port, calls=UNLIMITED, timeout_s=timeout_s)
        return sipp.start()


def share_phones(
    folder: Path, numbers: list[str], servers: list[tuple[str, int]], port: Callable[[], int]
) -> list[Phones]:
    """The numbers in order, as even as can be over the servers."""
    left = iter(numbers)
    sizes = share_out(len(numbers), len(servers))
    return [
        Phones(folder / f"agents-{node}", list(islice(left, size)), server, port())
        for node, (server, size) in enumerate(zip(servers, sizes, strict=False), 1)
    ]
