"""Metrics of a TAS (names of the design)."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tas.cdr.model import CdrRow

SETUP_BUCKETS_S: Final = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class TasMetrics:
    """All of them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls_active = Gauge("tas_calls_active", "Calls now", registry=registry)
        self.registrations = Gauge("tas_registrations", "Contacts registered here", registry=registry)
        self.setup = Histogram(
            "tas_call_setup_seconds", "INVITE to our 200", buckets=SETUP_BUCKETS_S, registry=registry
        )
        self._rejected = Counter("tas_invites_rejected", "INVITEs refused before a call", ["code"], registry=registry)
        self._ended = Counter("tas_calls", "Ended calls", ["direction", "result", "reason"], registry=registry)
        self._media = Gauge("tas_media_server_up", "1 when a media server is used", ["server"], registry=registry)
        self.draining = Gauge("tas_draining", "1 while draining", registry=registry)
        self._children: dict[tuple[str, str, str], Counter] = {}

    def rejected(self, status: int) -> None:
        """An INVITE answered before it became a call."""
        self._rejected.labels(str(status)).inc()

    def media_state(self, server: str, state: str, _before: str) -> None:
        """A media server changed."""
        self._media.labels(server).set(1 if state == "up" else 0)

    def ended(self, row: CdrRow) -> None:
        """A call is over; the children are kept, for `labels()` costs as much as a header."""
        key = (row.direction, row.result, row.reason)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._ended.labels(*key)
        child.inc()
