"""Agents, queues, bindings and node events for the tests of the ACD."""

from __future__ import annotations

from typing import Any, Literal

from agentbroker.acd.agents import Agent
from agentbroker.acd.engine import AcdEngine
from common.contracts.agents import AgentState, Binding
from common.contracts.calls import (
    AgentCall,
    AgentCallPhase,
    CallDequeued,
    CallEnded,
    CallQueued,
    NodeCommand,
    Offer,
    OfferCancel,
    OfferReport,
    OfferResult,
    PhoneRegistered,
    PhoneUnregistered,
    QueueRefused,
    Snapshot,
)
from common.contracts.ids import CallUid, OfferId
from common.service.directory import AgentEntry, QueueEntry


def agent_entry(*queues: str, ready: bool | None = None) -> AgentEntry:
    """An agent of agents.toml."""
    return AgentEntry.model_validate({"password": "x", "queues": list(queues), "ready_at_logon": ready})


def phone(
    agent: str, node: str = "tas-1", *, transport: Literal["udp", "tcp"] = "udp", contact: str = "", path: str = ""
) -> Binding:
    """A binding of an agent's phone."""
    return Binding(agent, node, contact or f"sip:{agent}@192.0.2.7", "192.0.2.7", 5060, transport, path=path)


class Acd:
    """An engine with its clock, spoken to in the words of a telephony engineer."""

    def __init__(
        self,
        queues: dict[str, dict[str, Any]] | None = None,
        agents: dict[str, tuple[str, ...]] | None = None,
        *,
        nodes: tuple[str, ...] = ("tas-1", "tas-2"),
        ready: bool = True,
    ) -> None:
        entries = {name: QueueEntry(**options) for name, options in (queues or {"support": {}}).items()}
        members = agents if agents is not None else {"1001": ("support",), "1002": ("support",)}
        self.now = 100.0
        self.engine = AcdEngine(
            {number: agent_entry(*served) for number, served in members.items()},
            entries,
            ready_at_logon=ready,
            now=self.now,
        )
        self.engine.offers.epoch = 7
        self.engine.set_nodes(set(nodes), self.now)

    # Phones and people.

    def log_on(self, *agents: str, node: str = "tas-1", transport: Literal["udp", "tcp"] = "udp") -> None:
        """Phones register, a millisecond after one another."""
        for agent in agents:
            self.now += 0.001
            self.engine.receive_event(node, PhoneRegistered(phone(agent, node, transport=transport)), self.now)

    def unregister(self, agent: str, node: str = "tas-1") -> None:
        """A phone goes."""
        self.engine.receive_event(node, PhoneUnregistered(phone(agent, node), last=True), self.now)

    def agent(self, number: str) -> Agent:
        return self.engine.agents[number]

    def state(self, number: str) -> str:
        """State, with the reason when there is one: "NotReady RNA"."""
        agent = self.agent(number)
        return f"{agent.state} {agent.reason}".strip()

    def wish(self, number: str, ready: bool, reason: str = "") -> None:
        """A supervisor sets the state."""
        self.engine.set_state(self.agent(number), ready, reason, "supervisor", self.now)

    # Calls.

    def call(self, uid: str, queue: str = "support", *, node: str = "tas-1", waited: float = 0.0) -> None:
        """A call enters a queue."""
        self.engine.receive_event(node, CallQueued(CallUid(uid), queue, "0700", waited), self.now)

    def abandon(self, uid: str, queue: str = "support", *, node: str = "tas-1") -> None:
        """The caller of a waiting call hangs up."""
        self.engine.receive_event(node, CallDequeued(CallUid(uid), queue, "left"), self.now)
        self.engine.receive_event(node, CallEnded(CallUid(uid), queue), self.now)

    def report(self, offer: Offer, result: OfferResult, node: str = "tas-1") -> None:
        """The node of an offer's call says what became of it."""
        self.engine.receive_event(node, OfferReport(offer.offer, offer.call_uid, offer.agent, result), self.now)

    def answer(self, offer: Offer, queue: str = "support", node: str = "tas-1") -> None:
        """As a TAS reports an answer."""
        self.report(offer, OfferResult.RINGING, node)
        self.report(offer, OfferResult.ANSWERED, node)
        self.part(offer.agent, offer.call_uid, "talking", queue, node)

    def part(self, agent: str, uid: str, phase: str, queue: str = "", node: str = "tas-1") -> None:
        """An agent's part in a call."""
        event = AgentCall(agent, CallUid(uid), AgentCallPhase(phase), "", queue)
        self.engine.receive_event(node, event, self.now)

    def end(self, uid: str, agent: str, queue: str = "support", node: str = "tas-1") -> None:
        """A call between a caller and an agent is over."""
        self.part(agent, uid, "ended", queue, node)
        self.engine.receive_event(node, CallEnded(CallUid(uid), queue), self.now)

    def snapshot(
        self,
        node: str = "tas-1",
        *,
        phones: tuple[str, ...] = (),
        queued: tuple[str, ...] = (),
        talking: tuple[tuple[str, str], ...] = (),
        offers: tuple[tuple[str, str, str], ...] = (),
    ) -> None:
        """A node's whole truth: `talking` are (agent, uid) of the queue, `offers` (offer, uid, agent)."""
        event = Snapshot(
            [phone(agent, node) for agent in phones],
            [CallQueued(CallUid(uid), "support", "0700", 5.0) for uid in queued],
            [AgentCall(agent, CallUid(uid), AgentCallPhase.TALKING, "", "support") for agent, uid in talking],
            [OfferReport(OfferId(offer), CallUid(uid), agent, OfferResult.RINGING) for offer, uid, agent in offers],
        )
        self.engine.receive_event(node, event, self.now)

    # Time and what comes out.

    def wait(self, seconds: float) -> None:
        """Let time pass, stopping at every deadline."""
        until = self.now + seconds
        while (due := self.engine.next_timeout()) is not None and due <= until:
            self.now = max(self.now, due)
            self.engine.handle_timeout(self.now)
        self.now = until

    def commands(self) -> list[tuple[str, NodeCommand]]:
        return self.engine.take_commands()

    def offers(self) -> list[Offer]:
        """Offers made since the last look; other commands are passed over."""
        return [command for _, command in self.commands() if isinstance(command, Offer)]

    def offer(self) -> Offer:
        """The one offer made since the last look."""
        (offer,) = self.offers()
        return offer

    def cancelled(self) -> list[str]:
        """Offers taken back since the last look."""
        return [command.offer for _, command in self.commands() if isinstance(command, OfferCancel)]

    def refusals(self) -> list[tuple[str, str]]:
        """(uid, reason) of calls refused since the last look."""
        return [
            (command.call_uid, command.reason) for _, command in self.commands() if isinstance(command, QueueRefused)
        ]

    def waiting(self, queue: str = "support") -> list[str]:
        return list(self.engine.queues[queue].waiting)

    def history(self, number: str) -> list[str]:
        """The agent's activity since the last look: "NotReady RNA"."""
        rows = [row for row in self.engine.take_activity() if row.agent == number]
        return [f"{row.state} {row.reason}".strip() for row in rows]

    def assert_at_rest(self) -> None:
        """Nothing is open: no call waits, no offer, nobody is busy, no deadline is set."""
        self.wait(3600.0)
        assert self.engine.held() | {"heaps": 0, "deadlines": 0} == {
            "waiting": 0, "offers": 0, "heaps": 0, "deadlines": 0,
        }  # fmt: skip
        assert self.engine.next_timeout() is None
        resting = {AgentState.LOGGED_OUT, AgentState.NOT_READY, AgentState.READY}
        for agent in self.engine.agents.values():
            assert agent.state in resting, agent.number
            assert (agent.calls, agent.offer, agent.pending, agent.resume) == ({}, "", None, None), agent.number
