"""Who comes first: the strategies of queues.conf as sort keys, and who can take a call at all."""

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


def usable(agent: Agent, node: str) -> bool:
    """Whether a TAS can reach the agent's phone: by address over UDP, else only where its TCP connection ends.

    (A way through the edge node, RFC 3327 Path, comes with the SIP issue.)
    """
    return any(
        binding.transport == "udp" or bool(binding.path) or binding.node == node for binding in agent.devices.values()
    )
