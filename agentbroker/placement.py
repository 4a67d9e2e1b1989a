"""Which TAS serves which agent: evenly over the nodes that live and do not drain."""

from __future__ import annotations


class Placement:
    """Sans-I/O; rows to be written are fetched with take_changes()."""

    def __init__(self) -> None:
        self._node_of: dict[str, str] = {}
        self._count: dict[str, int] = {}
        self._changes: dict[str, str] = {}

    def set_nodes(self, nodes: set[str]) -> None:
        """Nodes that may serve; agents placed elsewhere stay until they are placed anew."""
        self._count = {node: sum(placed == node for placed in self._node_of.values()) for node in sorted(nodes)}

    def place(self, agent: str, edge: str) -> str:
        """Give an agent a node, "" when there is none: the one its phone is at when that keeps things even."""
        self.remove(agent)
        if not self._count:
            return ""
        least = min(self._count.values())
        node = edge if self._count.get(edge) == least else min(self._count, key=lambda name: (self._count[name], name))
        self._node_of[agent] = node
        self._count[node] += 1
        self._changes[agent] = node
        return node

    def remove(self, agent: str) -> None:
        """An agent needs no node."""
        node = self._node_of.pop(agent, None)
        if node in self._count:
            self._count[node] -= 1

    @property
    def counts(self) -> dict[str, int]:
        """Agents by node."""
        return dict(self._count)

    def take_changes(self) -> dict[str, str]:
        """Agent -> node placed since the last call."""
        changes, self._changes = self._changes, {}
        return changes
