"""Metrics of a node, read as Prometheus reads them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from common.service.metrics import make_registry, render
from tas.metrics import TasMetrics
from tests.unit.tas.cdr.support import row


def made() -> tuple[TasMetrics, CollectorRegistry]:
    registry = make_registry()
    return TasMetrics(registry), registry


def lines(registry: CollectorRegistry, name: str) -> list[str]:
    """Samples whose name begins so."""
    return [line for line in render(registry).decode().splitlines() if line.startswith(name)]


def test_ended_calls_count_by_direction_result_and_reason() -> None:
    metrics, registry = made()
    metrics.ended(row(1))
    metrics.ended(row(2))
    metrics.ended(row(3, direction="out", result="rejected", reason="busy"))
    found = lines(registry, "tas_calls_total")
    assert 'tas_calls_total{direction="in",reason="caller_hangup",result="answered"} 2.0' in found
    assert 'tas_calls_total{direction="out",reason="busy",result="rejected"} 1.0' in found


def test_refused_invites_count_by_status() -> None:
    metrics, registry = made()
    for status in (503, 503, 407):
        metrics.rejected(status)
    assert 'tas_invites_rejected_total{code="503"} 2.0' in lines(registry, "tas_invites_rejected_total")


def test_media_server_is_one_only_while_it_is_up() -> None:
    metrics, registry = made()
    for state, value in (("up", "1.0"), ("draining", "0.0"), ("up", "1.0"), ("suspect", "0.0"), ("down", "0.0")):
        metrics.media_state("media-1", state, "")
        assert lines(registry, "tas_media_server_up") == [f'tas_media_server_up{{server="media-1"}} {value}']


def test_setup_times_fall_into_the_buckets_the_aims_are_read_from() -> None:
    metrics, registry = made()
    metrics.setup.observe(0.025)
    buckets = lines(registry, "tas_call_setup_seconds_bucket")
    assert 'tas_call_setup_seconds_bucket{le="0.02"} 0.0' in buckets
    assert 'tas_call_setup_seconds_bucket{le="0.03"} 1.0' in buckets


def test_every_name_of_the_design_is_there_from_the_start() -> None:
    _, registry = made()
    text = render(registry).decode()
    for name in ("tas_calls_active", "tas_registrations", "tas_call_setup_seconds", "tas_draining"):
        assert f"# TYPE {name} " in text
