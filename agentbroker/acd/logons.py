"""Logons: from phones that register and go to agents that are logged on and served by a TAS."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from agentbroker.acd.agents import NOT_READY, READY, Agent, Event
from agentbroker.placement import Placement
from common.contracts.agents import AgentState, Binding, Origin, SystemReason

Remembered = tuple[AgentState | None, str, Origin]
UNKNOWN: Final[Remembered] = (None, "", "system")


class Changes(Protocol):
    """Who acts on an agent's change."""

    def changed(self, agent: Agent, now: float) -> None:
        """State, reason or devices are others now."""


class Logons:
    """Keeps devices and placement of all agents."""

    def __init__(self, agents: dict[str, Agent], placement: Placement, changes: Changes, ready_at_logon: bool) -> None:
        self._agents = agents
        self._changes = changes
        self._ready_at_logon = ready_at_logon
        self._remembered: dict[str, Remembered] = {}
        self.placement = placement

    def remember(self, states: dict[str, Remembered]) -> None:
        """States agents had under the last leader: a logon that we only learn of goes on with them."""
        self._remembered = states

    def registered(self, binding: Binding, now: float) -> None:
        """A phone is there."""
        agent = self._agents.get(binding.aor)
        if agent is None:
            return
        key = (binding.node, binding.contact)
        agent.devices.pop(key, None)
        agent.devices[key] = binding
        if agent.state is AgentState.LOGGED_OUT or agent.reason == SystemReason.FAILOVER:
            self._log_on(agent, now)

    def _log_on(self, agent: Agent, now: float) -> None:
        agent.node = self.placement.place(agent.number, agent.edge())
        state, reason, origin = self._remembered.pop(agent.number, UNKNOWN)
        agent.idle_since = now
        wanted = agent.entry.ready_at_logon if agent.entry.ready_at_logon is not None else self._ready_at_logon
        if state is NOT_READY or (state is not READY and not wanted):
            agent.step(Event.LOGON_NOT_READY, now, reason or SystemReason.LOGON, origin)
        else:
            agent.step(Event.LOGON_READY, now, SystemReason.LOGON)
        self._changes.changed(agent, now)

    def unregistered(self, binding: Binding, now: float) -> None:
        """A phone is gone; an agent without any is logged out when no call holds it."""
        agent = self._agents.get(binding.aor)
        if agent is None or agent.devices.pop((binding.node, binding.contact), None) is None:
            return
        if not agent.devices:
            self._log_off(agent, now)

    def _log_off(self, agent: Agent, now: float) -> None:
        if agent.step(Event.LOGOFF, now):
            self.placement.remove(agent.number)
            agent.node = ""
            self._changes.changed(agent, now)

    def replace(self, node: str, bindings: Iterable[Binding], now: float) -> None:
        """A node's snapshot: what it has is all it has."""
        known = {(binding.node, binding.contact) for binding in bindings}
        for agent in self._agents.values():
            gone = [key for key in agent.devices if key[0] == node and key not in known]
            for key in gone:
                del agent.devices[key]
            if gone and not agent.devices and agent.reason != SystemReason.FAILOVER:
                self._log_off(agent, now)
        for binding in bindings:
            self.registered(binding, now)

    def node_lost(self, node: str, now: float) -> None:
        """A TAS died: its agents stay logged on, NotReady, and are placed on the others."""
        for agent in self._agents.values():
            if agent.node != node:
                continue
            agent.node = self.placement.place(agent.number, "")
            reason = SystemReason.FAILOVER if agent.node else SystemReason.NO_CAPACITY
            if not agent.step(Event.SET_NOT_READY, now, reason):
                agent.pending = (Event.SET_NOT_READY, reason, "system")
            self._changes.changed(agent, now)
