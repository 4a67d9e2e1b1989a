"""Metrics of a media server (names of the design), read when Prometheus asks."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mediaserver.engine import Engine
from mediaserver.sessions import Sessions


class MediaMetrics(Collector):
    """Collects from sessions and engine."""

    def __init__(self, name: str, sessions: Sessions, engine: Engine, registry: CollectorRegistry) -> None:
        self._name = name
        self._sessions = sessions
        self._engine = engine
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        bridged = sum(session.bridged is not None for session in self._sessions.sessions.values())
        points = GaugeMetricFamily("media_connection_points", "Connection points in use", labels=["server", "kind"])
        points.add_metric([self._name, "bridged"], bridged)
        points.add_metric([self._name, "single"], len(self._sessions) - bridged)
        yield points
        limit = GaugeMetricFamily("media_connection_points_limit", "Connection points at most", labels=["server"])
        limit.add_metric([self._name], self._sessions.limit)
        yield limit
        refused = CounterMetricFamily("media_sessions_refused_full", "Sessions refused: full", labels=["server"])
        refused.add_metric([self._name], self._sessions.refused_full)
        yield refused
        for key, value in self._engine.engine_statistics().items():
            if key == "active":  # what media_connection_points says of the sessions
                continue
            counter = CounterMetricFamily(f"media_engine_{key}", f"Native engine: {key}", labels=["server"])
            counter.add_metric([self._name], value)
            yield counter
