"""What the API shows of a node: calls, ladders, counts; and what it does."""

from __future__ import annotations

import pytest

from tas.admin import view as module
from tas.admin.view import View
from tests.unit.tas.rig import AT_REST, Rig


class Shown:
    """A rig with its view; ended calls reach the view as the process hands them over."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.turns = 0
        self.view = View(self.rig.node, self.rig.trace, lambda: self.rig.now, self._after)

    def _after(self) -> None:
        self.turns += 1
        self.rig.turn()

    def end(self, call_uid: str) -> None:
        assert self.view.hang_up(call_uid)
        self.view.call_ended(self.rig.ended[-1])


async def test_node_at_rest_counts_nothing() -> None:
    shown = Shown().view.node_view()
    assert (shown["node"], shown["state"], shown["calls"], shown["registrations"]) == ("tas-1", "up", 0, 0)
    assert shown["counts"] == AT_REST
    assert shown["trunks"] == {"pbx": {"up": True, "channels": 0}}
    assert (shown["bus"], shown["epoch"], shown["refused_commands"]) == (True, 0, 0)
    assert shown["tasks"] == 1  # this test


async def test_node_with_a_call_and_a_phone_counts_them() -> None:
    shown = Shown()
    shown.rig.register()
    shown.rig.call()
    view = shown.view.node_view()
    assert (view["calls"], view["registrations"], view["trunks"]) == (1, 1, {"pbx": {"up": True, "channels": 1}})


def test_draining_is_set_and_taken_back_and_goes_out_at_once() -> None:
    shown = Shown()
    shown.view.set_draining(True)
    assert (shown.rig.control.draining, shown.turns) == (True, 1)
    shown.view.set_draining(False)
    assert (shown.rig.control.draining, shown.turns) == (False, 2)


def test_living_calls_come_first_and_then_those_that_ended_last() -> None:
    shown = Shown()
    calls = [shown.rig.call(call_id=b"call-%d" % number) for number in range(4)]
    shown.end(calls[0].uid)
    shown.end(calls[2].uid)
    found = [call.call_uid for call in shown.view.call_views()]
    assert found == [calls[1].uid, calls[3].uid, calls[2].uid, calls[0].uid]


def test_no_more_calls_are_shown_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHOWN_CALLS", 3)
    shown = Shown()
    calls = [shown.rig.call(call_id=b"call-%d" % number) for number in range(4)]
    assert [call.call_uid for call in shown.view.call_views()] == [call.uid for call in calls[:3]]


def test_ended_calls_are_forgotten_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ENDED_CALLS", 2)
    shown = Shown()
    calls = [shown.rig.call(call_id=b"call-%d" % number) for number in range(3)]
    for call in calls:
        shown.end(call.uid)
    assert shown.view.call_view(calls[0].uid) is None
    assert shown.view.call_view(calls[1].uid) is not None


def test_call_is_shown_while_it_lives_and_after_its_end() -> None:
    shown = Shown()
    call = shown.rig.call()
    living = shown.view.call_view(call.uid)
    assert living is not None
    assert (living.state, living.outcome) == ("queued", "")
    shown.end(call.uid)
    ended = shown.view.call_view(call.uid)
    assert ended is not None
    assert (ended.state, ended.outcome != "") == ("over", True)
    assert shown.view.call_view("no-such-call") is None


def test_ladder_has_the_messages_of_the_call_from_its_first_on() -> None:
    shown = Shown()
    call = shown.rig.call()
    shown.rig.pass_time(0.25)
    shown.rig.in_dialog(b"ACK", cseq=1)
    steps = shown.view.ladder(call.uid)
    assert steps is not None
    assert [(step.sent, step.first_line.removeprefix("SIP/2.0 ").split()[0]) for step in steps] == [
        (False, "INVITE"),
        (True, "100"),
        (True, "200"),
        (False, "ACK"),
    ]
    assert [step.cseq for step in steps] == ["1 INVITE", "1 INVITE", "1 INVITE", "1 ACK"]
    assert (steps[0].at_s, steps[-1].at_s) == (0.0, 0.25)
    assert {step.peer for step in steps} == {"192.0.2.9:5060"}
    assert {step.leg_id for step in steps} == {f"{call.uid}.1"}


def test_ladder_of_an_unknown_call_is_none() -> None:
    assert Shown().view.ladder("no-such-call") is None


def test_media_servers_are_shown_as_the_pool_sees_them() -> None:
    shown = Shown()
    shown.rig.call()
    (server,) = shown.view.media_views()
    assert (server.server, server.state, server.limit, server.taken_total) == ("media-1", "up", 500, 1)


def test_hanging_up_an_unknown_call_does_nothing() -> None:
    assert not Shown().view.hang_up("no-such-call")
