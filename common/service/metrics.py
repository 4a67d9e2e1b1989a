"""Prometheus metrics: one registry a process, handed to whoever counts."""

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST


def make_registry() -> CollectorRegistry:
    """A registry that already holds the process's own metrics (CPU, memory, descriptors, collections)."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def render(registry: CollectorRegistry) -> bytes:
    """The text form that Prometheus scrapes."""
    return generate_latest(registry)
