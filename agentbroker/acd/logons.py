"""Logons: from phones that register and go to agents that are logged on and served by a TAS."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from agentbroker.acd.agents import BUSY, LOGGED_OUT, MOVING, NOT_READY, READY, Agent, Event, Wish
from agentbroker.acd.availability import Availability
from agentbroker.acd.matching import Matching
from agentbroker.placement import Placement
from common.contracts.agents import AgentState, Binding, Origin, SystemReason

Remembered = tuple[AgentState | None, str, Origin]
UNKNOWN: Final[Remembered] = (None, "", "system")


class Logons:
    """Keeps devices and placement of all agents."""

    def __init__(
        self,
        agents: dict[str, Agent],
        placement: Placement,
        availability: Availability,
        matching: Matching,
        ready_at_logon: bool,
    ) -> None:
        self._agents = agents
        self._availability = availability
        self._matching = matching
        self._ready_at_logon = ready_at_logon
        self._remembered: dict[str, Remembered] = {}
        self.placement = placement

    def remember(self, states: dict[str, Remembered]) -> None:
        """States agents had under the last leader: a logon that we only learn of goes on with them."""
        self._remembered = {agent: known for agent, known in states.items() if known[1] not in MOVING}

    # Phones.

    def registered(self, binding: Binding, now: float) -> None:
        """A phone is there: it is the agent's newest."""
        agent = self._agents.get(binding.aor)
        if agent is not None:
            agent.devices.pop((binding.node, binding.contact), None)
            self._has_phone(agent, binding, now)

    def _has_phone(self, agent: Agent, binding: Binding, now: float) -> None:
        agent.devices[binding.node, binding.contact] = binding
        moving = agent.state is NOT_READY and agent.reason in MOVING
        if agent.state is LOGGED_OUT or (moving and (agent.node or self.placement.counts)):
            self._log_on(agent, now)
            return
        if agent.node and agent.pending is not None and agent.pending.reason in MOVING:
            agent.pending = None  # the phone is back before the call is over: there is no move to wait for

    def _log_on(self, agent: Agent, now: float) -> None:
        agent.node = self.placement.place(agent.number, agent.edge())
        state, reason, origin = self._remembered.pop(agent.number, UNKNOWN)
        agent.idle_since = now
        wanted = agent.entry.ready_at_logon if agent.entry.ready_at_logon is not None else self._ready_at_logon
        if state is NOT_READY or (state is not READY and not wanted):
            agent.step(Event.LOGON_NOT_READY, now, reason or SystemReason.LOGON, origin)
        else:
            agent.step(Event.LOGON_READY, now, SystemReason.LOGON)
        self._availability.logged_on(agent, now)

    def unregistered(self, binding: Binding, now: float) -> None:
        """A phone is gone; an agent without any is logged out when no call holds it."""
        agent = self._agents.get(binding.aor)
        if agent is None or agent.devices.pop((binding.node, binding.contact), None) is None:
            return
        if not agent.devices:
            self.log_off(agent, now)

    def log_off(self, agent: Agent, now: float) -> None:
        """The agent is gone; one whom a call holds is logged out after it."""
        if agent.step(Event.LOGOFF, now):
            self.placement.remove(agent.number)
            agent.node = ""
            agent.pending = agent.resume = None
            self._remembered.pop(agent.number, None)
            self._matching.changed(agent, now)

    def replace(self, node: str, bindings: Iterable[Binding], now: float) -> None:
        """A node's snapshot: what it has is all it has."""
        known = set()
        for binding in bindings:
            known.add((binding.aor, binding.contact))
            agent = self._agents.get(binding.aor)
            if agent is not None:
                self._has_phone(agent, binding, now)
        for agent in self._agents.values():
            gone = [key for key in agent.devices if key[0] == node and (agent.number, key[1]) not in known]
            for key in gone:
                del agent.devices[key]
            if gone and not agent.devices and agent.reason not in MOVING:
                self.log_off(agent, now)

    # Nodes.

    def set_nodes(self, nodes: set[str], now: float) -> None:
        """Nodes that may serve; agents whom none could serve are placed now."""
        self.placement.set_nodes(nodes)
        for agent in self._agents.values() if nodes else ():
            if agent.node or agent.state is LOGGED_OUT:
                continue
            if agent.devices and agent.state is NOT_READY and agent.reason == SystemReason.NO_CAPACITY:
                self._log_on(agent, now)
                continue
            agent.node = self.placement.place(agent.number, agent.edge())
            if agent.pending is not None and agent.pending.reason == SystemReason.NO_CAPACITY and agent.devices:
                agent.pending = None

    def node_lost(self, node: str, now: float) -> None:
        """A TAS died: its agents stay logged on, NotReady, and are placed on the others.

        Connections of phones ended with it; a phone that is reached over UDP still is. An agent whose phone is
        registered with another node goes on there at once, others when their phone has registered anew.
        """
        for agent in self._agents.values():
            lost = [key for key, binding in agent.devices.items() if key[0] == node and binding.transport != "udp"]
            for key in lost:
                del agent.devices[key]
            if agent.state is not LOGGED_OUT and (agent.node == node or (lost and not agent.devices)):
                self._move(agent, node, now)

    def _move(self, agent: Agent, lost: str, now: float) -> None:
        agent.node = self.placement.place(agent.number, "")
        reason = SystemReason.FAILOVER if agent.node else SystemReason.NO_CAPACITY
        at_once = bool(agent.node) and any(edge != lost for edge, _ in agent.devices)
        if agent.state in BUSY:
            wish = agent.pending
            if wish is not None and wish.event is Event.SET_NOT_READY and wish.reason not in MOVING:
                self._remembered[agent.number] = (NOT_READY, wish.reason, wish.origin)
            if not at_once:
                agent.pending = Wish(Event.SET_NOT_READY, reason, "system")
            return
        if agent.state is NOT_READY and agent.reason not in MOVING:
            self._remembered[agent.number] = (NOT_READY, agent.reason, agent.origin)
        agent.step(Event.SET_NOT_READY, now, reason)
        self._matching.changed(agent, now)
        if at_once:
            self._log_on(agent, now)
