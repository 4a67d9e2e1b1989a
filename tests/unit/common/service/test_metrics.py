"""Metrics: a registry of one's own, with the process's figures in it."""

from prometheus_client import Counter
from prometheus_client.parser import text_string_to_metric_families

from common.service.metrics import CONTENT_TYPE, make_registry, render


def test_registry_has_the_process_figures_and_what_is_counted() -> None:
    registry = make_registry()
    Counter("tas_calls", "Calls.", ["result"], registry=registry).labels("answered").inc(3)
    families = {family.name: family for family in text_string_to_metric_families(render(registry).decode())}
    assert {"process_cpu_seconds", "process_open_fds", "python_gc_collections", "tas_calls"} <= set(families)
    values = {sample.name: sample.value for sample in families["tas_calls"].samples}
    assert values["tas_calls_total"] == 3.0
    assert CONTENT_TYPE.startswith("text/plain")


def test_two_registries_of_one_process_do_not_meet() -> None:
    for _ in range(2):
        Counter("tas_same", "Same.", registry=make_registry()).inc()
