"""What the API shows of queues, nodes and media servers."""

from __future__ import annotations

import pytest

from agentbroker.api.views import agent_views, media_views, node_views, queue_views
from common.contracts import topics
from common.contracts.calls import CallQueued, MediaServerView, NodeReport, Offer, OfferReport, OfferResult
from common.contracts.envelopes import Presence
from common.contracts.ids import CallUid
from common.service.bus.memory import MemoryHub
from tests.unit.agentbroker.support import BrokerEnd, TasEnd


@pytest.fixture
def broker() -> BrokerEnd:
    broker = BrokerEnd(MemoryHub())
    broker.lead()
    return broker


@pytest.fixture
def tas(broker: BrokerEnd) -> TasEnd:
    tas = TasEnd(broker.hub)
    tas.beat()
    tas.snapshot("1001")
    return tas


def test_queue_view_counts_its_agents_calls_and_service_level(broker: BrokerEnd, tas: TasEnd) -> None:
    tas.say(*(CallQueued(CallUid(f"tas-1-1-{n}"), "support", "", 30.0 - n) for n in range(2)))
    broker.flush()
    offer = next(command for _, command in tas.taken() if isinstance(command, Offer))
    tas.say(OfferReport(offer.offer, offer.call_uid, "1001", OfferResult.ANSWERED))
    (view,) = queue_views(broker.broker, broker.now + 1.0)
    assert (view.waiting, view.oldest_s, view.agents, view.ready, view.talking) == (1, 30.0, 1, 0, 1)
    assert (view.answered, view.abandoned, view.average_wait_s) == (1, 0, 30.0)
    assert (view.servicelevel_percent, view.servicelevel2_percent) == (0.0, 0.0)


def test_agents_are_shown_in_the_order_of_the_file(broker: BrokerEnd, tas: TasEnd) -> None:
    views = agent_views(broker.broker, broker.now)
    assert [(view.agent, view.state) for view in views] == [("1001", "Ready"), ("1002", "LoggedOut")]


def test_node_view_shows_load_agents_and_who_leads(broker: BrokerEnd, tas: TasEnd) -> None:
    tas.say(NodeReport(7, False, 1, []))
    presence = Presence("broker-1", "broker", "x", "up", http="127.0.0.1:8080", leader_epoch=3)
    broker.bus.publish(topics.presence("broker", "broker-1"), presence)
    broker.hub.deliver()
    node, leader = node_views(broker.broker, broker.now)
    assert (node.node, node.role, node.state, node.calls, node.registrations, node.agents) == (
        "tas-1", "tas", "up", 7, 1, 1,
    )  # fmt: skip
    assert (leader.role, leader.state, leader.leader_epoch) == ("broker", "up", 3)
    _, silent = node_views(broker.broker, broker.now + 60.0)
    assert (silent.state, silent.leader_epoch) == ("down", 0), "a broker that is gone does not lead"


def test_media_servers_are_gathered_from_all_living_nodes(broker: BrokerEnd, tas: TasEnd) -> None:
    other = TasEnd(broker.hub, "tas-2")
    other.beat()
    tas.say(NodeReport(0, False, 0, [MediaServerView("media-1", "up", 3, 500, 9), MediaServerView("media-2", "down")]))
    other.say(NodeReport(0, False, 0, [MediaServerView("media-1", "suspect", 0, 0, 4)]))
    one, two = media_views(broker.broker)
    assert (one["server"], one["used"], one["limit"]) == ("media-1", 3, 500)
    assert one["seen_by"] == {"tas-1": "up", "tas-2": "suspect"}
    assert one["placed_by"] == {"tas-1": 9, "tas-2": 4}
    assert (two["used"], two["seen_by"]) == (0, {"tas-1": "down"})
    broker.wait(2.1)
    assert media_views(broker.broker) == []
