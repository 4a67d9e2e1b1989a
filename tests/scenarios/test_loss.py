"""The main paths through a network that loses a tenth each way, and a day in the life of a lab by seed."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from common.contracts.agents import AgentState
from tests.scenarios.support.lab import Lab
from tests.scenarios.support.peers import Behaviour, Phone
from tests.scenarios.support.sdp import MALFORMED, OFFER, sdp

BEHAVIOURS = (
    Behaviour(answer_s=0.2),
    Behaviour(answer_s=0.2),
    Behaviour(answer_s=1.0, hang_up_s=3.0),
    Behaviour(answer_s=None),
    Behaviour(answer_s=0.5, reject=486),
    Behaviour(answer_s=0.0, reject=603),
    Behaviour(ring_s=None, answer_s=4.0),
    Behaviour(answer_s=0.3, reject=500),
)
NUMBERS = ("8000", "8000", "8000", "8100", "9196", "1001", "1002", "1003", "7777", "030123")


def talks(phone: Phone) -> bool:
    return any(call.up and call.confirmed for call in phone.calls)


@pytest.mark.parametrize("seed", range(8))
def test_queue_call_completes_in_spite_of_loss(seed: int) -> None:
    lab = Lab(seed=seed, loss=0.1)
    (phone,) = lab.agents(1)
    caller = lab.queue_call()
    lab.until(lambda: talks(phone))
    lab.run(5.0)
    if seed % 2:
        caller.hang_up()
    else:
        phone.taken().hang_up()
    lab.until(lambda: caller.over and phone.taken().over)
    lab.assert_nothing_left(calls=1, waiting_s=110.0)
    assert lab.cdrs[0].result == "answered"
    assert lab.state("1001") == (AgentState.READY, "")


@pytest.mark.parametrize("seed", range(4))
def test_call_goes_round_the_agents_in_spite_of_loss(seed: int) -> None:
    lab = Lab(tas=2, seed=seed, loss=0.1, queue={"timeout": 6.0})
    first, second = lab.agents(2, tas=1)
    (third,) = lab.agents(1, first=1003)
    first.behaviour = Behaviour(answer_s=None)
    second.behaviour = Behaviour(reject=486)
    caller = lab.queue_call()
    lab.until(lambda: talks(third))
    lab.run(2.0)
    assert lab.state("1001")[0] is AgentState.NOT_READY
    assert lab.state("1002")[0] is AgentState.NOT_READY
    caller.hang_up()
    lab.assert_nothing_left(calls=1, waiting_s=110.0)
    assert lab.cdrs[0].agent == "1003"


class Day:
    """Things that happen to a lab, drawn by seed; whatever they were, nothing may be left in the evening."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)
        self.lab = Lab(tas=2, media=2, seed=seed, loss=self.dice.choice((0.0, 0.05)), limit=20, queue={"timeout": 5.0})
        half = self.lab.agents(5, tas=0), self.lab.agents(5, tas=1, first=1006)
        self.phones = [*half[0], *half[1]]
        self.pbx = self.lab.pbx

    def run(self, happenings: int) -> None:
        """Let things happen, then hang everything up."""
        acts = (
            (self.call, 10),
            (self.hang_up, 6),
            (self.change_phone, 4),
            (self.agent_calls, 2),
            (self.agent_state, 2),
            (self.reregister, 1),
            (self.cut_media, 1),
            (self.lose_bus, 1),
            (self.press, 2),
            (self.silence, 1),
            (self.change_broker, 1),
            (self.reinvite, 3),
            (self.unplug, 1),
            (self.restart_media, 1),
        )
        drawn = self.dice.choices([act for act, _ in acts], [weight for _, weight in acts], k=happenings)
        for act in drawn:
            act()
            self.lab.run(self.dice.choice((0.0, 0.001, 0.003, 0.01, 0.1, 0.5, 2.0)))
        self.evening()

    def evening(self) -> None:
        for node in self.lab.tas:
            if not node.bus.connected:
                node.bus.connect()
        for phone in self.phones:
            phone.return_()
        for peer in (self.pbx, *self.phones):
            peer.behaviour = Behaviour(answer_s=None, reject=480)
        self.lab.run(1.0)
        for _ in range(3):
            for peer in (self.pbx, *self.phones):
                for call in peer.calls:
                    call.hang_up()
            self.lab.run(10.0)

    def call(self) -> None:
        self.pbx.call(self.dice.choice(NUMBERS), server=self.dice.choice(self.lab.tas).address)

    def hang_up(self) -> None:
        alive = [call for peer in (self.pbx, *self.phones) for call in peer.calls if not call.over]
        if alive:
            self.dice.choice(alive).hang_up()

    def change_phone(self) -> None:
        self.dice.choice((self.pbx, *self.phones)).behaviour = self.dice.choice(BEHAVIOURS)

    def agent_calls(self) -> None:
        self.dice.choice(self.phones).dial(self.dice.choice(NUMBERS))

    def agent_state(self) -> None:
        self.lab.broker.set_state(self.dice.choice(self.phones).agent, self.dice.random() < 0.8, "4")

    def reregister(self) -> None:
        self.dice.choice(self.phones).register(self.dice.choice((0, 3600, 3600)))

    def cut_media(self) -> None:
        self.dice.choice(self.dice.choice(self.lab.tas).wires).cut()

    def lose_bus(self) -> None:
        bus = self.dice.choice(self.lab.tas).bus
        if bus.connected:
            bus.disconnect()
        else:
            bus.connect()

    def press(self) -> None:
        node = self.dice.choice(self.lab.tas)
        calls = [call for call in node.control.calls.values() if call.caller.port]
        if calls:
            call = self.dice.choice(calls)
            host = next(host for host in self.lab.media if host.name == call.media_server)
            if call.caller.leg_id in host.sessions.sessions:
                host.press(call.caller.leg_id, self.dice.choice("12379"))

    def silence(self) -> None:
        host = self.dice.choice(self.lab.media)
        if host.sessions.sessions:
            host.fall_silent(self.dice.choice(list(host.sessions.sessions)))

    def reinvite(self) -> None:
        up = [call for peer in (self.pbx, *self.phones) for call in peer.calls if call.up]
        if up:
            self.dice.choice(up).reinvite(self.dice.choice((b"", OFFER, sdp(4000, direction="inactive"), MALFORMED)))

    def unplug(self) -> None:
        phone = self.dice.choice(self.phones)
        if self.dice.random() < 0.5:
            phone.vanish()
        else:
            phone.return_()

    def restart_media(self) -> None:
        number = self.dice.randrange(2)
        self.lab.media[number].die()
        self.lab.run(self.dice.choice((0.0, 1.0, 3.0)))
        self.lab.restart_media(number)

    def change_broker(self) -> None:
        self.lab.broker.die()
        self.lab.start_broker()


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_in_a_day_nothing_is_left_in_the_evening(seed: int) -> None:
    day = Day(seed)
    day.run(120)
    day.lab.assert_nothing_left(waiting_s=110.0)
    assert all(row.ended_at >= row.started_at for row in day.lab.cdrs)


def test_burst_of_two_hundred_queue_calls_uses_every_agent_and_both_media_servers_evenly() -> None:
    lab = Lab(media=2, queue={"wrapuptime": 1.0})
    phones = lab.agents(20)
    for phone in phones:
        phone.behaviour = Behaviour(answer_s=0.1, hang_up_s=4.0)
    for number in range(200):
        lab.world.after(number * 0.1, lab.pbx, lambda: lab.pbx.call("8000"))
    lab.run(80.0)
    lab.assert_nothing_left(calls=200)
    assert Counter((row.result, row.reason) for row in lab.cdrs) == {("answered", "agent_hangup"): 200}
    assert Counter(row.media_server for row in lab.cdrs) == {"media-1": 100, "media-2": 100}
    taken = Counter(row.agent for row in lab.cdrs)
    assert len(taken) == 20
    assert max(taken.values()) - min(taken.values()) <= 1
