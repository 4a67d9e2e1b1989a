"""mediaserver/metrics.py"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from common.contracts.ids import SessionId
from common.contracts.media import SessionModify
from mediaserver.metrics import MediaMetrics
from tests.unit.mediaserver.support import make_engine, make_sessions, wish


def test_connection_points_are_counted_by_kind_and_refusals_too() -> None:
    engine, registry = make_engine(), CollectorRegistry()
    sessions = make_sessions(engine, limit=3)
    MediaMetrics("media-1", sessions, engine, registry)
    for name in "abc":
        sessions.create(wish(name), "tas-1", 0.0)
    sessions.modify(SessionModify(SessionId("a"), bridge=SessionId("b")))
    sessions.refused_full = 2

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, {"server": "media-1"} | labels)

    assert value("media_connection_points", kind="bridged") == 2
    assert value("media_connection_points", kind="single") == 1
    assert value("media_connection_points_limit") == 3
    assert value("media_sessions_refused_full_total") == 2
    assert value("media_engine_packets_in_total") == 0
    assert value("media_engine_overruns_total") == 0
    assert b"media_engine_active" not in generate_latest(registry)
