"""What the ACD's parts put out: commands for nodes, agents whose state changed, deadlines."""

from __future__ import annotations

import heapq

from agentbroker.acd.agents import Agent
from common.contracts.calls import NodeCommand


class Output:
    """Shared by the engine and its parts; the engine hands it on."""

    __slots__ = ("changed", "commands", "deadlines")

    def __init__(self) -> None:
        self.commands: list[tuple[str, NodeCommand]] = []
        self.changed: list[Agent] = []
        self.deadlines: list[tuple[float, str, str, int]] = []
        """(when, kind, name, token), a heap."""

    def at(self, due: float, kind: str, name: str, token: int = 0) -> None:
        """Set a deadline; one that became needless is told by its token or name."""
        heapq.heappush(self.deadlines, (due, kind, name, token))
