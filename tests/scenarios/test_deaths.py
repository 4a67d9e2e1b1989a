"""Processes that die and come back, and a bus that is lost: TAS nodes, brokers, their epochs."""

from __future__ import annotations

import pytest

from common.contracts import topics
from common.contracts.agents import AgentState
from common.contracts.calls import CommandBatch, HangUp
from tests.scenarios.support.lab import Lab
from tests.scenarios.support.peers import Behaviour, PeerCall, Phone

LOGGED_OUT, READY, NOT_READY = AgentState.LOGGED_OUT, AgentState.READY, AgentState.NOT_READY
TALKING, WRAP_UP, RINGING = AgentState.TALKING, AgentState.WRAP_UP, AgentState.RINGING


def talks(phone: Phone) -> bool:
    return any(call.up and call.confirmed for call in phone.calls)


def caller_shown(phone: Phone, number: int = 0) -> str:
    request = phone.taken(number).request
    assert request is not None
    return (request.from_.parsed_uri().user or b"").decode()


def restart_broker(lab: Lab, away_s: float = 3.0) -> None:
    """The leader dies, a standby leads after the take-over time."""
    lab.broker.die()
    lab.run(away_s)
    lab.start_broker()
    lab.run(0.5)


# The other TAS.


def test_queued_call_reaches_an_agent_who_is_registered_with_the_other_tas() -> None:
    lab = Lab(tas=2, media=2)
    (phone,) = lab.agents(1, tas=1)
    call = lab.queue_call(tas=0)
    lab.until(lambda: talks(phone))
    mine = lab.call_of(tas=0)
    assert mine.callee is not None
    assert mine.callee.link is mine.caller.link  # both legs on one media server
    assert lab.tas[1].control.calls == {}
    call.hang_up()
    lab.assert_nothing_left(calls=1)
    assert (lab.cdrs[0].node, lab.cdrs[0].agent) == ("tas-1", "1001")


def test_agents_are_placed_evenly_over_two_nodes() -> None:
    lab = Lab(tas=2)
    lab.agents(20, tas=0)
    assert lab.broker.broker.engine.logons.placement.counts == {"tas-1": 10, "tas-2": 10}
    lab.assert_nothing_left(calls=0)


# A TAS dies.


def test_dead_tas_leaves_its_agents_not_ready_and_its_queued_calls_are_dropped() -> None:
    lab = Lab(tas=2)
    lab.agents(1, tas=0)
    lab.broker.set_state("1001", False)
    dropped = lab.queue_call(tas=0)
    survivor = lab.queue_call(tas=1)
    assert len(lab.broker.waiting()) == 2
    lab.tas[0].die()
    lab.run(3.0)
    assert lab.broker.waiting() == [lab.call_of(tas=1).uid]
    assert lab.state("1001")[0] in (NOT_READY, LOGGED_OUT)
    survivor.hang_up()
    dropped.hang_up()
    lab.assert_nothing_left(calls=1)
    assert lab.media[0].left_over()["sessions"] == 0  # the dead node's sessions ended after their grace


def test_agents_of_a_dead_tas_go_on_once_their_phones_register_with_the_other() -> None:
    lab = Lab(tas=2)
    (phone,) = lab.agents(1, tas=0)
    lab.tas[0].die()
    lab.run(3.0)
    assert lab.state("1001") == (NOT_READY, "FAILOVER")
    phone.register(server=lab.tas[1].address)
    lab.run(1.0)
    assert lab.state("1001")[0] is READY
    call = lab.queue_call(tas=1)
    lab.until(lambda: talks(phone))
    call.hang_up()
    lab.assert_nothing_left(calls=1)


def test_agent_who_rings_for_a_dead_tas_is_free_for_the_other() -> None:
    lab = Lab(tas=2)
    (phone,) = lab.agents(1, tas=1)
    phone.behaviour = Behaviour(answer_s=None)
    dropped = lab.queue_call(tas=0)
    lab.until(lambda: phone.taken_count)
    lab.run(0.1)
    lab.tas[0].die()
    dropped.hang_up()
    lab.run(4.0)
    phone.behaviour = Behaviour()
    call = lab.queue_call(tas=1)
    lab.until(lambda: talks(phone), 30.0)
    call.hang_up()
    for leg in phone.calls:
        leg.hang_up()
    lab.assert_nothing_left(calls=1)


def test_agent_who_talks_on_a_dead_tas_is_free_after_wrap_up() -> None:
    lab = Lab(tas=2)
    (phone,) = lab.agents(1, tas=1)
    lab.queue_call(tas=0)
    lab.until(lambda: talks(phone))
    lab.run(0.2)
    lab.tas[0].die()
    lab.run(9.0)
    assert lab.state("1001")[0] in (READY, NOT_READY)
    assert not lab.broker.agent("1001").calls
    for leg in phone.calls:
        leg.hang_up()
    lab.pbx.calls[0].hang_up()
    lab.assert_nothing_left(calls=0)


# The broker dies.


def test_new_broker_rebuilds_the_queue_with_the_old_clocks() -> None:
    lab = Lab()
    callers = [lab.queue_call(caller=f"030{number}") for number in range(3)]
    lab.run(10.0)
    restart_broker(lab)
    assert len(lab.broker.waiting()) == 3
    oldest = lab.broker.broker.engine.queues["support"].oldest_s(lab.now)
    assert oldest == pytest.approx(lab.now - callers[0].started_at, abs=0.1)
    (phone,) = lab.agents(1)
    lab.until(lambda: talks(phone))
    assert caller_shown(phone) == "0300"
    for call in callers:
        call.hang_up()
    lab.assert_nothing_left(calls=3)


def test_call_that_comes_while_no_broker_leads_waits_for_the_next_one() -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    lab.broker.die()
    lab.run(1.0)
    call = lab.queue_call()
    lab.run(5.0)
    assert phone.taken_count == 0
    lab.start_broker()
    lab.until(lambda: talks(phone), 3.0)
    assert not call.over
    call.hang_up()
    lab.assert_nothing_left(calls=1)


def test_new_broker_knows_agents_and_their_states() -> None:
    lab = Lab()
    lab.agents(2)
    lab.broker.set_state("1002", False, "3")
    lab.run(0.1)
    restart_broker(lab)
    assert lab.state("1001")[0] is READY
    assert lab.state("1002") == (NOT_READY, "3")
    lab.assert_nothing_left(calls=0)


def test_new_broker_knows_who_talks_and_gives_wrap_up_after_it() -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    first = lab.queue_call()
    lab.until(lambda: talks(phone))
    lab.run(0.2)
    waiting = lab.queue_call()
    restart_broker(lab)
    assert lab.state("1001")[0] is TALKING
    assert len(lab.broker.waiting()) == 1
    assert phone.taken_count == 1
    first.hang_up()
    lab.run(1.0)
    assert lab.state("1001")[0] is WRAP_UP
    lab.until(lambda: phone.taken_count == 2 and talks(phone))
    waiting.hang_up()
    lab.assert_nothing_left(calls=2)


@pytest.mark.parametrize("waits_elsewhere", [0, 1])
def test_new_broker_does_not_ring_an_agent_who_talks_for_a_call_of_any_node(waits_elsewhere: int) -> None:
    lab = Lab(tas=2)
    (phone,) = lab.agents(1, tas=1 - waits_elsewhere)
    first = lab.queue_call(tas=1 - waits_elsewhere)
    lab.until(lambda: talks(phone))
    lab.run(0.2)
    waiting = lab.queue_call(tas=waits_elsewhere)
    restart_broker(lab)
    lab.run(3.0)
    assert phone.taken_count == 1
    assert lab.state("1001")[0] is TALKING
    first.hang_up()
    lab.until(lambda: phone.taken_count == 2 and talks(phone))
    waiting.hang_up()
    lab.assert_nothing_left(calls=2)


def test_call_that_rings_while_the_broker_changes_is_answered_and_is_not_offered_again() -> None:
    lab = Lab()
    first, second = lab.agents(2)
    first.behaviour = Behaviour(answer_s=8.0)
    call = lab.queue_call()
    lab.until(lambda: first.taken_count)
    lab.run(0.5)
    restart_broker(lab)
    lab.run(1.0)
    assert not first.taken().over
    lab.until(lambda: talks(first))
    lab.run(3.0)
    assert second.taken_count == 0
    assert (lab.state("1001")[0], lab.state("1002")[0]) == (TALKING, READY)
    assert lab.broker.waiting() == []
    call.hang_up()
    lab.assert_nothing_left(calls=1)
    assert (lab.cdrs[0].agent, lab.cdrs[0].reason) == ("1001", "caller_hangup")


def test_call_answered_while_no_broker_leads_is_known_to_the_next_one() -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    phone.behaviour = Behaviour(answer_s=2.0)
    call = lab.queue_call()
    lab.until(lambda: phone.taken_count)
    lab.broker.die()
    lab.until(lambda: talks(phone))
    lab.run(1.0)
    lab.start_broker()
    lab.run(0.5)
    assert lab.state("1001")[0] is TALKING
    assert lab.broker.waiting() == []
    call.hang_up()
    lab.run(1.0)
    assert lab.state("1001")[0] is WRAP_UP
    lab.assert_nothing_left(calls=1)


def test_command_of_a_deposed_leader_is_refused() -> None:
    lab = Lab()
    call = lab.queue_call()
    old = lab.broker
    lab.start_broker()
    lab.run(0.5)
    uid = lab.call_of().uid
    old.bus.publish(topics.node_commands("tas-1"), CommandBatch([HangUp(uid)]), epoch=1)
    lab.run(1.0)
    assert call.up
    assert lab.tas[0].node.refused_commands >= 1
    lab.broker.broker.hang_up(uid)
    lab.until(lambda: call.ended)
    old.die()
    lab.assert_nothing_left(calls=1)


# The bus.


def lose_bus(lab: Lab, seconds: float) -> None:
    bus = lab.tas[0].bus
    bus.disconnect()
    lab.run(seconds)
    bus.connect()
    lab.run(1.0)


def test_talking_call_does_not_notice_that_the_bus_was_lost() -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    call = lab.queue_call()
    lab.until(lambda: talks(phone))
    lab.run(0.2)
    lose_bus(lab, 1.0)
    assert call.up
    assert lab.state("1001")[0] is TALKING
    call.hang_up()
    lab.run(1.0)
    assert lab.state("1001")[0] is WRAP_UP
    lab.assert_nothing_left(calls=1)


@pytest.mark.parametrize("away_s", [1.0, 5.0])
def test_call_that_came_while_the_bus_was_away_is_served_when_it_is_back(away_s: float) -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    lab.tas[0].bus.disconnect()
    call = lab.queue_call()
    lab.run(away_s)
    assert phone.taken_count == 0
    lab.tas[0].bus.connect()
    lab.until(lambda: talks(phone), 3.0)
    call.hang_up()
    lab.assert_nothing_left(calls=1)


def test_call_that_left_while_the_bus_was_away_is_no_longer_in_the_queue() -> None:
    lab = Lab()
    call = lab.queue_call()
    lab.run(0.1)
    lab.tas[0].bus.disconnect()
    call.hang_up()
    lab.run(1.0)
    assert len(lab.broker.waiting()) == 1
    lab.tas[0].bus.connect()
    lab.run(0.5)
    assert lab.broker.waiting() == []
    lab.assert_nothing_left(calls=1)


def answered_without_bus(lab: Lab) -> tuple[PeerCall, Phone]:
    (phone,) = lab.agents(1)
    phone.behaviour = Behaviour(answer_s=1.0)
    call = lab.queue_call()
    lab.until(lambda: phone.taken_count)
    lab.tas[0].bus.disconnect()
    lab.until(lambda: talks(phone))
    return call, phone


def test_call_answered_while_the_bus_was_away_is_talking_when_it_is_back() -> None:
    lab = Lab()
    call, _ = answered_without_bus(lab)
    lab.tas[0].bus.connect()
    lab.run(0.5)
    assert lab.state("1001")[0] is TALKING
    assert lab.broker.waiting() == []
    call.hang_up()
    lab.run(1.0)
    assert lab.state("1001")[0] is WRAP_UP
    lab.assert_nothing_left(calls=1)


def test_call_that_ended_while_the_bus_was_away_does_not_hold_the_agent() -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    call = lab.queue_call()
    lab.until(lambda: talks(phone))
    lab.run(0.2)
    lab.tas[0].bus.disconnect()
    call.hang_up()
    lab.run(1.0)
    assert lab.state("1001")[0] is TALKING
    lab.tas[0].bus.connect()
    lab.run(6.0)
    assert lab.state("1001") == (READY, "")
    lab.assert_nothing_left(calls=1)
