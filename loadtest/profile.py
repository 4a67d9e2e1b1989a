"""What load to make: a plain value, refused when it cannot work; and the configs of a lab that serves it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FIRST_AGENT: Final = 1001
MAX_CALLS: Final = 100_000
MAX_RATE: Final = 500.0
"""Calls a second; SIPp's statistics and one machine's cores are at their end well before."""
MAX_AGENTS: Final = 999
MAX_HOLD_S: Final = 600.0
ANSWER_S: Final = 0.05
"""From the offer to both legs connected: the phones of uas_agent.xml ring 20 ms."""
RESERVE: Final = 1.2
"""Calls come in bursts and agents are not exactly as free as on average."""
SETTLE_S: Final = 30.0
"""What a run may last beyond its calls' own time before SIPp gives up."""


class ProfileError(Exception):
    """A load that cannot be made; the text says which value and why."""


@dataclass(frozen=True)
class Profile:
    """Callers on the trunk, agents that answer. The defaults suit a laptop."""

    calls: int = 300
    rate: float = 10.0
    """Calls a second over all TAS nodes."""
    agents: int = 20
    hold_s: float = 0.5
    """From the caller's 200 to its BYE."""
    number: str = "8000"

    def check(self) -> None:
        """Raises ProfileError."""
        for name, value, low, high in (
            ("calls", self.calls, 1, MAX_CALLS),
            ("rate", self.rate, 0.1, MAX_RATE),
            ("agents", self.agents, 1, MAX_AGENTS),
            ("hold", self.hold_s, 0.1, MAX_HOLD_S),
        ):
            if not low <= value <= high:
                raise ProfileError(f"{name}: {value:g}: must be from {low:g} to {high:g}")
        if self.agents < self.agents_needed():
            raise ProfileError(
                f"agents: {self.agents}: {self.rate:g} calls/s held for {self.hold_s:g} s need {self.agents_needed()}; "
                "callers would hang up before anybody is free"
            )

    def agents_needed(self) -> int:
        """So many that no caller's hold time runs out while it waits, if they have no WrapUp."""
        busy = math.ceil(self.rate * (self.hold_s + ANSWER_S) * RESERVE)
        return min(busy, self.calls)

    @property
    def numbers(self) -> list[str]:
        """The agents' numbers."""
        return [str(FIRST_AGENT + n) for n in range(self.agents)]

    @property
    def timeout_s(self) -> int:
        """When SIPp gives up."""
        return math.ceil(self.calls / self.rate + self.hold_s + SETTLE_S)

    @property
    def at_once(self) -> int:
        """Calls at the same time at most: SIPp waits with new ones beyond it."""
        return max(100, math.ceil(self.rate * (self.hold_s + 5)))


def share_out(total: int, parts: int) -> list[int]:
    """`total` in `parts` that differ by one at most; no empty ones."""
    small, rest = divmod(total, parts)
    return [size for size in (small + (n < rest) for n in range(parts)) if size]


def prepare_configs(folder: Path, numbers: list[str]) -> None:
    """Change a copy of the lab's configs: no WrapUp, and an account for every number."""
    queues = folder / "queues.toml"
    queues.write_text(re.sub(r"^wrapuptime = \d+", "wrapuptime = 0", queues.read_text(), flags=re.MULTILINE))
    agents = folder / "agents.toml"
    text = agents.read_text()
    missing = [number for number in numbers if f"[agents.{number}]" not in text]
    accounts = [
        f'\n[agents.{number}]\nname = "Agent {number}"\npassword = "lab-{number}"\nqueues = ["support"]\n'
        for number in missing
    ]
    agents.write_text(text + "".join(accounts))
