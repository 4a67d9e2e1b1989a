"""What the ACD's parts put out: commands for nodes, rows of agent activity, deadlines."""

from __future__ import annotations

from typing import NamedTuple

from agentbroker.acd.agents import Agent
from agentbroker.acd.deadlines import Deadlines
from common.contracts.agents import Origin
from common.contracts.calls import NodeCommand


class Activity(NamedTuple):
    """One change of an agent, as it was at that moment: by the time it is written the agent has gone on."""

    agent: str
    state: str
    reason: str
    origin: Origin
    call_uid: str


class Output:
    """Shared by the engine and its parts; the engine hands it on."""

    __slots__ = ("activity", "commands", "deadlines")

    def __init__(self) -> None:
        self.commands: list[tuple[str, NodeCommand]] = []
        self.activity: list[Activity] = []
        self.deadlines = Deadlines()

    def note(self, agent: Agent) -> None:
        """An agent's state or reason is another one."""
        call_uid = next(iter(agent.calls), "")
        self.activity.append(Activity(agent.number, agent.state.value, str(agent.reason), agent.origin, call_uid))
