"""TAS nodes as a broker sees them: alive by heartbeat, with their last report and the sequence of their events."""

from __future__ import annotations

from typing import Final

import msgspec

from common.contracts.calls import NodeReport
from common.contracts.envelopes import Envelope, Presence
from common.contracts.topics import DEAD_AFTER_S, SUSPECT_AFTER_S

OWN_SLEEP_S: Final = 0.5
"""A deadline looked at so late was missed by us: this process was stopped, or its machine."""


class TasNode:
    """One TAS node."""

    __slots__ = ("heard_at", "last_seq", "name", "needs_snapshot", "presence", "report", "state")

    def __init__(self, presence: Presence, now: float) -> None:
        self.name = presence.node
        self.presence = presence
        self.heard_at = now
        self.state = "up"
        """up | draining | suspect | down"""
        self.last_seq = 0
        self.needs_snapshot = True
        self.report: NodeReport | None = None


class NodeView(msgspec.Struct, frozen=True):
    """A node as the HTTP API shows it."""

    node: str
    role: str
    state: str
    http: str
    sip: str = ""
    calls: int = 0
    registrations: int = 0
    agents: int = 0
    leader_epoch: int = 0


class Cluster:
    """All TAS nodes ever heard of; sans-I/O."""

    def __init__(self) -> None:
        self.nodes: dict[str, TasNode] = {}
        self._lost: list[str] = []

    def receive_presence(self, presence: Presence, now: float) -> None:
        """Presence or heartbeat; a last will of another incarnation than the one we know is old news."""
        node = self.nodes.get(presence.node)
        if presence.state == "gone":
            if node is not None and node.presence.inc == presence.inc:
                self._lose(node)
            return
        if node is None:
            node = self.nodes[presence.node] = TasNode(presence, now)
        elif node.presence.inc != presence.inc:
            if node.state != "down":
                self._lose(node)
            node.last_seq, node.needs_snapshot = 0, True
        node.presence, node.heard_at = presence, now
        node.state = "draining" if presence.state == "draining" else "up"

    def sequence(self, envelope: Envelope) -> TasNode | None:
        """Check an event envelope's place; a gap or new incarnation asks for a snapshot. None: node unknown yet."""
        node = self.nodes.get(envelope.src)
        if node is None or envelope.inc != node.presence.inc:
            return None
        if envelope.seq != node.last_seq + 1 and node.last_seq:
            node.needs_snapshot = True
        node.last_seq = envelope.seq
        return node

    def serving(self) -> set[str]:
        """Nodes that may be given agents."""
        return {
            name
            for name, node in self.nodes.items()
            if node.state in ("up", "suspect") and node.presence.state != "draining"
        }

    @property
    def complete(self) -> bool:
        """Whether every living node has sent its snapshot."""
        return not any(node.needs_snapshot for node in self.nodes.values() if node.state != "down")

    def next_timeout(self) -> float | None:
        """When a silent node changes state."""
        living = [node for node in self.nodes.values() if node.state != "down"]
        return min(
            (node.heard_at + (DEAD_AFTER_S if node.state == "suspect" else SUSPECT_AFTER_S) for node in living),
            default=None,
        )

    def handle_timeout(self, now: float) -> None:
        """Look at silences, but not at our own sleep: what nodes said meanwhile waits in the socket."""
        due = self.next_timeout()
        if due is not None and now >= due + OWN_SLEEP_S:
            for node in self.nodes.values():
                node.heard_at = now
        for node in self.nodes.values():
            if node.state != "down" and now >= node.heard_at + DEAD_AFTER_S:
                self._lose(node)
            elif node.state in ("up", "draining") and now >= node.heard_at + SUSPECT_AFTER_S:
                node.state = "suspect"

    def take_lost(self) -> list[str]:
        """Nodes that died since the last call."""
        lost, self._lost = self._lost, []
        return lost

    def _lose(self, node: TasNode) -> None:
        if node.state != "down":
            node.state = "down"
            node.needs_snapshot = True
            self._lost.append(node.name)
