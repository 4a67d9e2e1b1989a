"""Metrics of the broker (names of the design), read when Prometheus asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agentbroker.broker import Broker


class BrokerMetrics(Collector):
    """Collects from the engine; a standby shows zeros."""

    def __init__(self, broker: Broker, clock: Callable[[], float], registry: CollectorRegistry) -> None:
        self._broker = broker
        self._clock = clock
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        engine, now = self._broker.engine, self._clock()
        leading = GaugeMetricFamily("broker_leading", "1 while this broker leads")
        leading.add_metric([], 1 if self._broker.election.leading else 0)
        yield leading
        agents = GaugeMetricFamily("tas_agents", "Agents by serving node and state", labels=["node", "state"])
        for (node, state), count in Counter(
            (agent.node, agent.state.value) for agent in engine.agents.values()
        ).items():
            agents.add_metric([node, state], count)
        yield agents
        waiting = GaugeMetricFamily("queue_waiting", "Callers waiting", labels=["queue"])
        oldest = GaugeMetricFamily("queue_oldest_seconds", "Wait of the longest waiting caller", labels=["queue"])
        answered = CounterMetricFamily("queue_answered", "Calls that reached an agent", labels=["queue"])
        abandoned = CounterMetricFamily("queue_abandoned", "Callers who left", labels=["queue"])
        for name, queue in engine.queues.items():
            waiting.add_metric([name], len(queue.waiting))
            oldest.add_metric([name], queue.oldest_s(now))
            answered.add_metric([name], queue.stats.answered)
            abandoned.add_metric([name], queue.stats.abandoned)
        yield from (waiting, oldest, answered, abandoned)
