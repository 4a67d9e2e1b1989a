"""Reliable provisionals (RFC 3262): two layers under loss, and through the whole OpenTAS."""

from __future__ import annotations

import gc

import pytest

from common.contracts.outcome import Reason
from tas.sip.events import InviteReceived, UsageAnswered, UsageConfirmed, UsageEnded, UsageProgress
from tas.sip.invite.terms import PeerPolicy
from tests.scenarios.support.lab import Lab
from tests.scenarios.support.peers import Behaviour
from tests.scenarios.support.sdp import ANSWER as PHONE_ANSWER
from tests.scenarios.test_sip_layer import ANSWER, NOTHING, Network, Users

REQUIRE = ((b"require", b"100rel"),)
PREFER = PeerPolicy(reliable="prefer")


class ReliableUsers(Users):
    """The called one shows early media and answers, all at once; the caller hangs up once connected."""

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.progress: list[int] = []

    def act(self) -> None:
        now = self.network.now
        for event in self.network.called.take_events():
            if isinstance(event, InviteReceived):
                assert event.usage.settle(event.request, PREFER) is None
                event.usage.progress(183, None, ANSWER, now=now)
                event.usage.answer(ANSWER, now)
            elif isinstance(event, UsageEnded):
                self.ended += 1
            elif not isinstance(event, UsageConfirmed):
                self.other.append(event)
        for event in self.network.caller.take_events():
            if isinstance(event, UsageAnswered):
                self.connected += 1
                event.usage.end(now)
            elif isinstance(event, UsageProgress):
                self.progress.append(event.status)
            else:
                self.other.append(event)


@pytest.mark.parametrize("loss", [0.0, 0.1])
def test_provisionals_arrive_once_in_spite_of_loss_and_the_answer_waits_for_them(loss: float) -> None:
    network = Network(seed=4, loss=loss)
    users = ReliableUsers(network)
    gc.collect()
    gc.disable()
    try:
        for _ in range(300):
            users.call()
        users.run()
        network.sent.clear()
        assert (users.connected, users.ended, users.other) == (300, 300, [])
        assert network.caller.counts() == network.called.counts() == NOTHING
        assert gc.collect() == 0
    finally:
        gc.enable()
    assert users.progress == [183] * 300


def test_trunk_caller_that_requires_100rel_hears_an_agent_ring() -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    phone.behaviour = Behaviour(answer_s=5.0)
    call = lab.pbx.call("1001", headers=REQUIRE)
    lab.until(lambda: call.up)
    assert call.progress == [180]
    call.hang_up()
    lab.assert_nothing_left(calls=1)
    assert lab.cdrs[0].reason == Reason.CALLER_HANGUP


def test_trunk_profile_makes_ringing_reliable_and_passes_early_media_of_a_reliable_phone() -> None:
    lab = Lab(trunk={"reliable_provisionals": "prefer"})
    (phone,) = lab.agents(1)
    phone.behaviour = Behaviour(answer_s=5.0, early_body=PHONE_ANSWER, policy=PREFER)
    call = lab.pbx.call("1001")
    lab.until(lambda: call.up)
    assert call.progress == [183]
    assert call.early_body
    assert sum(data.startswith(b"PRACK") for _, _, _, data in lab.world.wire or []) == 2
    call.hang_up()
    lab.assert_nothing_left(calls=1)


def test_call_that_requires_100rel_on_a_trunk_without_it_is_refused_with_420() -> None:
    lab = Lab(trunk={"reliable_provisionals": "off"})
    call = lab.pbx.call("9196", headers=REQUIRE)
    lab.until(lambda: call.rejected)
    assert call.rejected == 420
    lab.assert_nothing_left(calls=0)


def test_caller_that_dies_while_the_phone_rings_is_given_up_with_504() -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    phone.behaviour = Behaviour(answer_s=None)
    call = lab.pbx.call("1001", headers=REQUIRE)
    lab.run(0.005)
    lab.pbx.die()
    call.hang_up()  # its layer forgets the call; nothing of it reaches the network
    lab.until(lambda: phone.taken_count and phone.taken().ended, 40.0)
    lab.assert_nothing_left(calls=1, waiting_s=100.0)
    assert lab.cdrs[0].reason == Reason.SIGNALLING_TIMEOUT
