"""Metrics as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

from agentbroker.metrics import BrokerMetrics
from common.contracts.calls import CallDequeued, CallQueued, Offer, OfferReport, OfferResult
from common.contracts.ids import CallUid
from common.service.bus.memory import MemoryHub
from tests.unit.agentbroker.support import BrokerEnd, TasEnd

Read = Callable[..., float | None]


@pytest.fixture
def broker() -> BrokerEnd:
    return BrokerEnd(MemoryHub(), agents=3)


@pytest.fixture
def read(broker: BrokerEnd) -> Read:
    registry = CollectorRegistry()
    BrokerMetrics(broker.broker, lambda: broker.now, registry)
    return lambda name, **labels: registry.get_sample_value(name, labels)


def test_standby_shows_that_it_does_not_lead_and_nothing_happens(broker: BrokerEnd, read: Read) -> None:
    assert read("broker_leading") == 0
    assert read("tas_agents", node="", state="LoggedOut") == 3
    assert read("queue_waiting", queue="support") == 0
    assert read("queue_answered_total", queue="support") == 0


def test_leader_shows_agents_by_node_and_state_and_its_queues(broker: BrokerEnd, read: Read) -> None:
    tas = TasEnd(broker.hub)
    tas.beat()
    broker.lead()
    tas.snapshot("1001")
    tas.say(CallQueued(CallUid("tas-1-1-a"), "support", "", 30.0), CallQueued(CallUid("tas-1-1-b"), "support", ""))
    broker.flush()
    offer = next(command for _, command in tas.taken() if isinstance(command, Offer))
    tas.say(OfferReport(offer.offer, offer.call_uid, "1001", OfferResult.ANSWERED))
    tas.say(CallQueued(CallUid("tas-1-1-c"), "support", ""), CallDequeued(CallUid("tas-1-1-c"), "support", "left"))
    broker.now += 4.0
    assert read("broker_leading") == 1
    assert read("tas_agents", node="tas-1", state="Talking") == 1
    assert read("tas_agents", node="", state="LoggedOut") == 2
    assert (read("queue_waiting", queue="support"), read("queue_oldest_seconds", queue="support")) == (1, 4.0)
    assert (read("queue_answered_total", queue="support"), read("queue_abandoned_total", queue="support")) == (1, 1)
