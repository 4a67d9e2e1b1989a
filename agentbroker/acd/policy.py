"""Who comes first: the strategies of queues.conf as sort keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from agentbroker.acd.agents import Agent
    from agentbroker.acd.queues import Queue

Key = Callable[["Agent", "Queue"], tuple[float, ...]]


def leastrecent(agent: Agent, _queue: Queue) -> tuple[float, ...]:
    """Longest idle first."""
    return (agent.idle_since,)


def fewestcalls(agent: Agent, _queue: Queue) -> tuple[float, ...]:
    """Fewest calls taken, then longest idle."""
    return (agent.calls_taken, agent.idle_since)


def linear(agent: Agent, queue: Queue) -> tuple[float, ...]:
    """In the order of agents.toml."""
    return (queue.members[agent.number],)


STRATEGIES: Final[dict[str, Key]] = {"leastrecent": leastrecent, "fewestcalls": fewestcalls, "linear": linear}
