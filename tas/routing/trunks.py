"""Trunks: who is a call manager, and whether it answers OPTIONS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tas.config import TrunkEntry

OPTIONS_RETRY_S: Final = 5.0
"""A trunk that did not answer is asked again this soon."""
FIRST_OPTIONS_S: Final = 0.1
"""After start, so that the socket is up."""


class Trunk:
    """One trunk and what is known of it now."""

    __slots__ = ("channels", "entry", "name", "next_options", "up")

    def __init__(self, name: str, entry: TrunkEntry) -> None:
        self.name = name
        self.entry = entry
        self.up = True
        """False after an OPTIONS without a usable answer; calls out are then refused with 503 at once."""
        self.channels = 0
        self.next_options: float | None = None

    def uri(self, user: bytes = b"") -> bytes:
        """A number at the trunk's target, or the target itself."""
        host, port = self.entry.target_address
        at = user + b"@" if user else b""
        return b"sip:%b%b:%d%b" % (at, host.encode(), port, b";transport=tls" if self.entry.transport == "tls" else b"")

    @property
    def full(self) -> bool:
        """Whether its channels are all taken."""
        return 0 < self.entry.max_channels <= self.channels


class Trunks:
    """All trunks, with their OPTIONS as a machine: `take_due(now)` says whom to ask."""

    def __init__(self, entries: Mapping[str, TrunkEntry], now: float) -> None:
        self.by_name = {name: Trunk(name, entry) for name, entry in entries.items()}
        self._by_source = {source: trunk for trunk in self.by_name.values() for source in trunk.entry.sources}
        for trunk in self.by_name.values():
            if trunk.entry.options_interval_s > 0:
                trunk.next_options = now + FIRST_OPTIONS_S

    def by_source(self, address: str) -> Trunk | None:
        """The trunk a message from this IP address belongs to."""
        return self._by_source.get(address)

    def next_timeout(self) -> float | None:
        """When the next OPTIONS is due."""
        return min((trunk.next_options for trunk in self.by_name.values() if trunk.next_options), default=None)

    def take_due(self, now: float) -> list[Trunk]:
        """Trunks to send OPTIONS to now; each is due again after `received_answer`."""
        due = [trunk for trunk in self.by_name.values() if trunk.next_options is not None and trunk.next_options <= now]
        for trunk in due:
            trunk.next_options = None
        return due

    def received_answer(self, trunk: Trunk, status: int, now: float) -> bool:
        """Any answer but 408 and 503 says the call manager is alive. Returns whether `up` changed."""
        up = status not in (408, 503)
        changed = up is not trunk.up
        trunk.up = up
        trunk.next_options = now + (trunk.entry.options_interval_s if up else OPTIONS_RETRY_S)
        return changed
