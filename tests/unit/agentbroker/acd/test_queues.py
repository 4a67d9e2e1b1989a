"""A queue's two heaps, and the waiting calls of all queues."""

from __future__ import annotations

from agentbroker.acd.agents import READY, Agent, Event
from agentbroker.acd.policy import STRATEGIES
from agentbroker.acd.queues import SLACK, Queue, Waiting, WaitingCall
from common.service.directory import QueueEntry
from tests.unit.agentbroker.acd.support import agent_entry, phone


def make_queue(name: str = "support") -> Queue:
    queue = Queue(name, QueueEntry(), STRATEGIES["leastrecent"])
    queue.members = {"1001": 0, "1002": 1}
    return queue


def make_agent(number: str = "1001", *, idle_since: float = 0.0) -> Agent:
    agent = Agent(number, agent_entry("support"), idle_since)
    agent.state = READY
    agent.devices["tas-1", "a"] = phone(number, "tas-1")
    return agent


def make_call(uid: str = "c1", *, entered_at: float = 0.0, node: str = "tas-1", queue: str = "support") -> WaitingCall:
    return WaitingCall(uid, queue, node, "0700", entered_at)


def enter(queue: Queue, *calls: WaitingCall) -> None:
    for call in calls:
        queue.enter(call)
        queue.line_up(call)


def test_head_is_the_oldest_call_whoever_came_first() -> None:
    queue = make_queue()
    young, old = make_call("young", entered_at=5.0), make_call("old", entered_at=1.0)
    enter(queue, young, old)
    assert queue.head(10.0) is old
    assert queue.head(10.0) is old, "looking takes nothing away"


def test_calls_of_one_age_keep_their_order() -> None:
    queue = make_queue()
    first, second = make_call("first"), make_call("second")
    enter(queue, first, second)
    assert queue.head(10.0) is first


def test_head_passes_calls_with_an_offer_or_a_pause() -> None:
    queue = make_queue()
    offered, paused, fit = (make_call(name, entered_at=float(n)) for n, name in enumerate("abc"))
    enter(queue, offered, paused, fit)
    offered.offer, paused.not_before = "7.1", 11.0
    assert queue.head(10.0) is fit
    assert queue.head(11.0) is paused


def test_call_whose_offer_came_to_nothing_is_at_the_head_again() -> None:
    queue = make_queue()
    call = make_call()
    enter(queue, call)
    call.offer = "7.1"
    assert queue.head(1.0) is None
    call.offer = ""
    queue.line_up(call)
    assert queue.head(1.0) is call


def test_taken_agent_is_the_best_and_gone_from_the_list() -> None:
    queue = make_queue()
    late, early = make_agent("1001", idle_since=9.0), make_agent("1002", idle_since=3.0)
    queue.ready(late)
    queue.ready(early)
    assert queue.take_agent() is early
    assert queue.take_agent() is late
    assert queue.take_agent() is None


def test_agent_who_changed_meanwhile_is_not_taken() -> None:
    queue = make_queue()
    agent = make_agent()
    queue.ready(agent)
    agent.step(Event.SET_NOT_READY, 1.0)
    agent.step(Event.SET_READY, 2.0)
    assert queue.take_agent() is None, "the entry is of an earlier Ready"


def test_ready_list_is_swept_at_its_bound_and_keeps_who_is_ready() -> None:
    queue = make_queue()
    agent, other = make_agent("1001"), make_agent("1002", idle_since=1.0)
    queue.ready(other)
    for _ in range(1000):
        agent.step(Event.SET_NOT_READY, 1.0)
        agent.step(Event.SET_READY, 1.0)
        queue.ready(agent)
        assert queue.held <= 2 * len(queue.members) + SLACK
    assert {queue.take_agent(), queue.take_agent()} == {agent, other}


def test_list_of_waiting_calls_is_swept_at_its_bound_and_keeps_who_waits() -> None:
    queue = make_queue()
    stays = make_call("stays", entered_at=50.0)
    enter(queue, stays)
    for number in range(1000):
        enter(queue, make_call(str(number), entered_at=float(number)))
        queue.leave(str(number))
        assert queue.held <= 2 * len(queue.waiting) + SLACK + 1
    assert queue.head(99.0) is stays


def test_oldest_wait_is_that_of_the_longest_waiting_call() -> None:
    queue = make_queue()
    assert queue.oldest_s(10.0) == 0.0
    enter(queue, make_call("a", entered_at=4.0), make_call("b", entered_at=-20.0))
    assert queue.oldest_s(10.0) == 30.0


def test_unoffered_calls_are_told_oldest_first() -> None:
    queue = make_queue()
    young, offered, old = (make_call(name, entered_at=when) for name, when in (("y", 5.0), ("o", 1.0), ("x", 2.0)))
    enter(queue, young, offered, old)
    offered.offer = "7.1"
    assert queue.unoffered() == [old, young]


def test_waiting_knows_the_calls_of_all_queues_by_uid_and_node() -> None:
    queues = {name: make_queue(name) for name in ("support", "sales")}
    waiting = Waiting(queues)
    here, there = make_call("h"), make_call("t", node="tas-2", queue="sales")
    waiting.enter(here)
    waiting.enter(there)
    assert waiting.of_node("tas-2") == [there]
    waiting.leave(here)
    assert (here.removed, waiting.calls, queues["support"].waiting) == (True, {"t": there}, {})
