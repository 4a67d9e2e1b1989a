"""How many connections a node carries, and from one address: a single source must not keep all others out."""

from collections.abc import Collection
from itertools import count
from typing import Final

MAX_CONNECTIONS: Final = 20_000
"""Phones of a node, with room for reconnecting ones; bounds memory at about 100 MB."""
CONNECTIONS_PER_SOURCE: Final = 256
"""From one IP address: an office behind one NAT fits, and eighty hostile addresses are needed to fill a node."""


class ConnectionLimits:
    """Counts the connections of all doors of a node, those in their TLS handshake too."""

    __slots__ = ("_exempt", "_numbers", "_of_source", "_per_source", "refused", "total")

    def __init__(self, per_source: int = CONNECTIONS_PER_SOURCE, exempt: Collection[str] = ()) -> None:
        """`exempt` are the trunks' addresses: a call manager may open as many as there is room for."""
        self._per_source = per_source
        self._exempt = frozenset(exempt)
        self._of_source: dict[str, int] = {}
        self._numbers = count(1)
        self.total = 0
        self.refused = 0

    def admit(self, host: str) -> bool:
        """Count a connection from `host`, unless there are too many; then it must be closed."""
        held = self._of_source.get(host, 0)
        if self.total >= MAX_CONNECTIONS or (held >= self._per_source and host not in self._exempt):
            self.refused += 1
            return False
        self._of_source[host] = held + 1
        self.total += 1
        return True

    def release(self, host: str) -> None:
        """A connection that was admitted is gone."""
        self.total -= 1
        left = self._of_source[host] - 1
        if left:
            self._of_source[host] = left
        else:
            del self._of_source[host]

    def number(self) -> int:
        """A number for a connection, the only one of the node with it."""
        return next(self._numbers)
