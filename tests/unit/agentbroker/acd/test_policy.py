"""Strategies of queues.conf, by whom a queue offers its calls to."""

from __future__ import annotations

from agentbroker.acd.policy import STRATEGIES
from common.contracts.calls import Offer
from tests.unit.agentbroker.acd.support import Acd

AGENTS = {"1001": ("support",), "1002": ("support",), "1003": ("support",)}


def order(acd: Acd, calls: int) -> list[str]:
    """Agents in the order a queue offers `calls` calls at once."""
    for number in range(calls):
        acd.call(f"tas-1-{number:x}-0")
    return [command.agent for _, command in acd.commands() if isinstance(command, Offer)]


def serve(acd: Acd, uid: str, seconds: float = 10.0) -> str:
    """One call from start to end; the agent who took it."""
    acd.call(uid)
    offer = acd.offer()
    acd.answer(offer)
    acd.wait(seconds)
    acd.end(uid, offer.agent)
    return offer.agent


def test_every_strategy_of_the_configuration_is_there() -> None:
    assert set(STRATEGIES) == {"leastrecent", "fewestcalls", "linear"}


def test_leastrecent_takes_the_longest_idle() -> None:
    acd = Acd({"support": {"wrapuptime": 0.0}}, AGENTS)
    acd.log_on("1003", "1001", "1002")
    assert serve(acd, "tas-1-a-0") == "1003"
    assert order(acd, 3) == ["1001", "1002", "1003"]


def test_fewestcalls_takes_who_has_taken_least_then_the_longest_idle() -> None:
    acd = Acd({"support": {"strategy": "fewestcalls", "wrapuptime": 0.0}}, AGENTS)
    acd.log_on("1001")
    assert [serve(acd, f"tas-1-a{number}-0") for number in range(2)] == ["1001", "1001"]
    acd.log_on("1003", "1002")
    assert order(acd, 3) == ["1003", "1002", "1001"]


def test_linear_takes_agents_in_the_order_of_the_file() -> None:
    acd = Acd({"support": {"strategy": "linear"}}, AGENTS)
    acd.log_on("1003", "1002", "1001")
    assert order(acd, 3) == ["1001", "1002", "1003"]
