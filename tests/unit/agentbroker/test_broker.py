"""A broker between its bus, its lease and its engine."""

from __future__ import annotations

import msgspec
import pytest

from common.contracts import topics
from common.contracts.agents import AgentState
from common.contracts.calls import (
    AgentCall,
    AgentCallPhase,
    CallEnded,
    CallQueued,
    HangUp,
    NodeReport,
    Offer,
    OfferReport,
    OfferResult,
    Snapshot,
    SnapshotRequest,
)
from common.contracts.envelopes import Presence
from common.contracts.ids import CallUid, OfferId
from common.service.bus.memory import MemoryHub
from tests.unit.agentbroker.acd.support import phone
from tests.unit.agentbroker.support import BrokerEnd, TasEnd

UID = CallUid("tas-1-18f-aa")
QUEUED = CallQueued(UID, "support", "0700")


@pytest.fixture
def hub() -> MemoryHub:
    return MemoryHub()


@pytest.fixture
def leader(hub: MemoryHub) -> BrokerEnd:
    broker = BrokerEnd(hub)
    broker.lead()
    return broker


@pytest.fixture
def tas(hub: MemoryHub, leader: BrokerEnd) -> TasEnd:
    """A node whose snapshot, with agent 1001's phone, has come."""
    tas = TasEnd(hub)
    tas.beat()
    leader.flush()
    tas.snapshot("1001")
    tas.taken()
    return tas


def kinds(tas: TasEnd) -> list[type]:
    return [type(command) for _, command in tas.taken()]


def test_commands_carry_the_leader_s_epoch(leader: BrokerEnd, tas: TasEnd) -> None:
    tas.say(QUEUED)
    leader.flush()
    ((epoch, offer),) = tas.taken()
    assert epoch == 3
    assert isinstance(offer, Offer)
    assert (offer.offer, offer.call_uid, offer.agent) == ("3.1", UID, "1001")


def test_commands_of_one_turn_are_one_message(leader: BrokerEnd, hub: MemoryHub) -> None:
    tas = TasEnd(hub)
    tas.beat()
    tas.snapshot("1001", "1002")
    leader.flush()
    tas.say(QUEUED, CallQueued(CallUid("tas-1-18f-bb"), "support", ""))
    leader.broker.flush(leader.now)
    assert hub.deliver() == 1
    assert len(tas.taken()) == 2


def test_standby_hears_all_and_says_nothing(hub: MemoryHub) -> None:
    standby, tas = BrokerEnd(hub), TasEnd(hub)
    tas.beat()
    tas.snapshot("1001")
    tas.say(QUEUED, NodeReport(1, False, 1, []))
    standby.flush()
    standby.wait(1.0)
    assert tas.taken() == []
    assert standby.broker.engine.agents["1001"].state is AgentState.LOGGED_OUT
    report = standby.broker.cluster.nodes["tas-1"].report
    assert report is not None
    assert report.calls == 1


def test_new_node_is_asked_for_a_snapshot_again_until_it_comes(hub: MemoryHub, leader: BrokerEnd) -> None:
    tas = TasEnd(hub)
    tas.beat()
    leader.flush()
    leader.flush()
    assert kinds(tas) == [SnapshotRequest]
    leader.wait(1.0)
    assert kinds(tas) == [SnapshotRequest]
    tas.snapshot()
    leader.wait(0.4)
    assert kinds(tas) == []


def test_events_before_the_snapshot_are_part_of_it_and_not_taken_twice(hub: MemoryHub, leader: BrokerEnd) -> None:
    tas = TasEnd(hub)
    tas.beat()
    tas.say(QUEUED)
    assert leader.broker.engine.waiting.calls == {}
    tas.say(Snapshot([], [QUEUED], [], []))
    assert list(leader.broker.engine.waiting.calls) == [UID]


def test_gap_in_the_events_asks_for_a_snapshot_which_frees_who_is_busy_no_more(leader: BrokerEnd, tas: TasEnd) -> None:
    tas.say(AgentCall("1001", UID, AgentCallPhase.TALKING))
    tas.lose(AgentCall("1001", UID, AgentCallPhase.ENDED))
    tas.say(NodeReport(0, False, 1, []))
    leader.flush()
    assert kinds(tas) == [SnapshotRequest]
    assert leader.broker.engine.agents["1001"].state is AgentState.TALKING
    tas.snapshot("1001")
    assert leader.broker.engine.agents["1001"].state is AgentState.READY


@pytest.mark.parametrize("body", [b'{"events": [{"type": "call.strange"}]}', b"[]", b'{"events": 7}'])
def test_batch_that_cannot_be_read_counts_as_lost(leader: BrokerEnd, tas: TasEnd, body: bytes) -> None:
    tas.bus.publish(topics.node_events("tas-1"), msgspec.Raw(body))
    leader.hub.deliver()
    leader.flush()
    assert kinds(tas) == [SnapshotRequest]


def test_presence_that_cannot_be_read_is_passed_over(leader: BrokerEnd, tas: TasEnd) -> None:
    tas.bus.publish(topics.presence("tas", "tas-1"), msgspec.Raw(b"7"))
    tas.bus.clear(topics.presence("tas", "tas-1"))
    leader.hub.deliver()
    assert leader.broker.cluster.nodes["tas-1"].state == "up"


def test_silent_node_is_dead_after_two_seconds_and_its_agents_move(
    leader: BrokerEnd, tas: TasEnd, hub: MemoryHub
) -> None:
    other = TasEnd(hub, "tas-2")
    other.beat()
    other.snapshot()
    leader.wait(1.5)
    other.beat()
    leader.wait(0.6)
    agent = leader.broker.engine.agents["1001"]
    assert (leader.broker.cluster.nodes["tas-1"].state, agent.node, agent.reason) == ("down", "tas-2", "FAILOVER")


def test_node_that_restarts_has_lost_its_calls(leader: BrokerEnd, tas: TasEnd, hub: MemoryHub) -> None:
    tas.say(AgentCall("1001", UID, AgentCallPhase.TALKING, "", "support"))
    tas.bus.disconnect()
    again = TasEnd(hub, incarnation="b")
    again.beat()
    agent = leader.broker.engine.agents["1001"]
    assert (agent.calls, agent.state) == ({}, AgentState.NOT_READY)
    again.snapshot("1001")
    assert agent.state is AgentState.READY


# A new leader.


def test_new_leader_matches_nobody_before_every_living_node_has_told_its_truth(hub: MemoryHub) -> None:
    broker, here, there = BrokerEnd(hub), TasEnd(hub, "tas-1"), TasEnd(hub, "tas-2")
    here.beat()
    there.beat()
    broker.lead()
    assert (kinds(here), kinds(there)) == ([SnapshotRequest], [SnapshotRequest])
    here.say(Snapshot([phone("1001", "tas-1")], [QUEUED], [], []))
    broker.flush()
    assert here.taken() == [], "1001 may be in a call at tas-2"
    talking = AgentCall("1001", CallUid("tas-2-18f-cc"), AgentCallPhase.TALKING, "", "support")
    there.say(Snapshot([phone("1002", "tas-2")], [], [talking], []))
    broker.flush()
    ((_, offer),) = here.taken()
    assert isinstance(offer, Offer)
    assert offer.agent == "1002"


def test_new_leader_waits_two_seconds_at_most_for_a_node_that_says_nothing(hub: MemoryHub) -> None:
    broker, here, there = BrokerEnd(hub), TasEnd(hub, "tas-1"), TasEnd(hub, "tas-2")
    here.beat()
    there.beat()
    broker.lead()
    here.say(Snapshot([phone("1001", "tas-1")], [QUEUED], [], []))
    here.taken()
    for _ in range(3):
        broker.wait(0.6)
        here.beat()
        there.beat()
    assert Offer not in kinds(here)
    broker.wait(0.3)
    assert Offer in kinds(here)


def test_new_leader_takes_over_the_offer_of_the_old_one(hub: MemoryHub) -> None:
    old, tas = BrokerEnd(hub, "broker-1"), TasEnd(hub)
    tas.beat()
    old.lead(3)
    tas.snapshot("1001")
    tas.say(QUEUED)
    old.flush()
    offer = next(command for _, command in tas.taken() if isinstance(command, Offer))
    new = BrokerEnd(hub, "broker-2")
    tas.beat()
    new.lead(4)
    tas.taken()
    ringing = OfferReport(offer.offer, UID, "1001", OfferResult.RINGING)
    tas.say(Snapshot([phone("1001"), phone("1002")], [QUEUED], [], [ringing]))
    new.flush()
    assert tas.taken() == [], "the phone that rings is not offered twice, nor the caller"
    assert new.broker.engine.agents["1001"].state is AgentState.RINGING
    tas.say(
        OfferReport(offer.offer, UID, "1001", OfferResult.ANSWERED),
        AgentCall("1001", UID, AgentCallPhase.TALKING, "", "support"),
    )
    assert new.broker.engine.agents["1001"].state is AgentState.TALKING
    tas.say(AgentCall("1001", UID, AgentCallPhase.ENDED, "", "support"), CallEnded(UID, "support"))
    new.wait(30.0)
    assert new.broker.engine.next_timeout() is None


def test_leader_without_a_fresh_lease_says_nothing_more_however_it_wakes(leader: BrokerEnd, tas: TasEnd) -> None:
    """A process that was stopped for two seconds runs its bus before its election."""
    leader.now += 2.0
    tas.say(QUEUED)
    leader.flush()
    assert tas.taken() == []
    assert not leader.election.leading


def test_deposed_leader_forgets_agents_and_deadlines_and_does_not_spin(leader: BrokerEnd, tas: TasEnd) -> None:
    tas.say(QUEUED)
    leader.flush()
    leader.election.step_down()
    leader.wait(60.0)
    assert leader.broker.engine.held() == {"waiting": 0, "offers": 0, "heaps": 0, "deadlines": 0}
    assert leader.broker.engine.agents["1001"].state is AgentState.LOGGED_OUT
    assert leader.broker.next_timeout() is None, "tas-1 is dead by then and nothing else is due"


# The rest.


def test_hang_up_asks_the_node_that_has_the_call(leader: BrokerEnd, tas: TasEnd) -> None:
    assert leader.broker.hang_up(UID)
    leader.hub.deliver()
    assert tas.taken() == [(3, HangUp(UID))]


@pytest.mark.parametrize("uid", ["", "tas-1", "tas-9-18f-aa", "no such call"])
def test_hang_up_of_a_call_of_no_known_node_is_refused(leader: BrokerEnd, tas: TasEnd, uid: str) -> None:
    assert not leader.broker.hang_up(uid)


def test_hang_up_at_a_dead_node_is_refused(leader: BrokerEnd, tas: TasEnd) -> None:
    leader.wait(2.1)
    assert not leader.broker.hang_up(UID)


def test_brokers_are_shown_as_the_bus_tells_and_down_when_silent(leader: BrokerEnd) -> None:
    presence = Presence("broker-2", "broker", "y", "up", leader_epoch=3)
    leader.bus.publish(topics.heartbeat("broker", "broker-2"), presence)
    leader.hub.deliver()
    peer = leader.broker.brokers["broker-2"]
    assert (peer.state(leader.now + 1.9), peer.state(leader.now + 2.0)) == ("up", "down")


def test_report_of_an_offer_of_an_earlier_life_changes_nothing(leader: BrokerEnd, tas: TasEnd) -> None:
    tas.say(OfferReport(OfferId("1.1"), UID, "1001", OfferResult.ANSWERED))
    assert leader.broker.engine.agents["1001"].state is AgentState.READY
