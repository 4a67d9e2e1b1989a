"""Session timers (RFC 4028): two layers under loss, and the whole OpenTAS with a peer that dies during a call."""

from __future__ import annotations

import gc

import pytest

from common.contracts.agents import AgentState
from common.contracts.outcome import Reason, Result
from tas.sip.events import EndCause, InviteReceived, UsageAnswered, UsageEnded, UsageReoffered
from tas.sip.invite.terms import SessionPolicy
from tas.sip.invite.usage import InviteUsage
from tas.sip.layer import LayerSettings, SipLayer
from tests.scenarios.support.lab import Lab
from tests.scenarios.support.peers import Behaviour, Phone
from tests.scenarios.test_sip_layer import ANSWER, CALLED, CALLER, NOTHING, OFFER, Network

NO_UPDATE = b"INVITE, ACK, CANCEL, BYE"
HOUR_S = 3600.0


class Pair:
    """One caller and one called user who only talk."""

    def __init__(self, network: Network, caller: SessionPolicy, called: SessionPolicy) -> None:
        self.network = network
        self.called_policy = called
        self.ended: list[EndCause] = []
        self.legs: list[InviteUsage] = []
        self.mine = network.caller.invite(
            uri=b"sip:8000@127.0.0.1", flow=network.to_called, from_=b"<sip:1@x>", to=b"<sip:2@x>", body=OFFER,
            session=caller, now=network.now,
        )  # fmt: skip

    def talk(self, seconds: float) -> None:
        """Let time pass."""
        until = self.network.now + seconds
        self._act()
        while (at := self.network.next_time()) is not None and at <= until:
            self.network.advance()
            self._act()
        self.network.now = until

    def _act(self) -> None:
        now = self.network.now
        for event in self.network.called.take_events() + self.network.caller.take_events():
            if isinstance(event, InviteReceived):
                refused = event.usage.settle_session(event.request, self.called_policy)
                if refused is not None:
                    event.usage.reject(refused[0], None, refused[1], now=now)
                else:
                    event.usage.answer(ANSWER, now)
                    self.legs.append(event.usage)
            elif isinstance(event, UsageAnswered):
                self.legs.append(event.usage)
            elif isinstance(event, UsageReoffered):
                event.usage.answer(OFFER if event.usage is self.mine else ANSWER, now)
            elif isinstance(event, UsageEnded):
                self.ended.append(event.cause)
        self.network.flush()


def network(*, allow: bytes | None = None, loss: float = 0.0, seed: int = 1) -> Network:
    """Two layers; `allow` is what both say they take."""
    made = Network(seed=seed, loss=loss)
    if allow is not None:
        for name, address in (("caller", CALLER), ("called", CALLED)):
            settings = LayerSettings(udp=address, allow=allow)
            setattr(made, name, SipLayer(random=made.random.randbytes, settings=settings))
    return made


def methods(sent: list[bytes]) -> list[bytes]:
    return [data.split(b" ", 1)[0] for data in sent if not data.startswith(b"SIP/2.0")]


@pytest.mark.parametrize("allow", [None, NO_UPDATE])
@pytest.mark.parametrize("refresher", ["us", "peer"])
@pytest.mark.parametrize("loss", [0.0, 0.1])
def test_refreshes_hold_a_call_for_hours_whoever_sends_them(allow: bytes | None, refresher: str, loss: float) -> None:
    pair = Pair(network(allow=allow, loss=loss, seed=3), SessionPolicy(90, 90, refresher), SessionPolicy())  # type: ignore[arg-type]
    pair.talk(3 * HOUR_S)
    assert pair.ended == []
    assert [leg.state for leg in pair.legs] == ["confirmed", "confirmed"]
    refreshes = methods(pair.network.sent).count(b"UPDATE" if allow is None else b"INVITE")
    assert refreshes >= 3 * HOUR_S / 45 - 10  # one for every half interval; the first is the call itself
    pair.mine.end(pair.network.now)
    del pair.mine
    pair.legs.clear()
    pair.talk(100.0)
    assert pair.network.caller.counts() == pair.network.called.counts() == NOTHING


def test_refresh_by_reinvite_repeats_our_description_unchanged() -> None:
    pair = Pair(network(allow=NO_UPDATE), SessionPolicy(90, 90, "peer"), SessionPolicy())
    pair.talk(200.0)
    offers = [data for data in pair.network.sent if data.startswith(b"INVITE")]
    assert offers[0].endswith(OFFER)
    assert len(offers) == 5
    assert all(data.endswith(ANSWER) for data in offers[1:])


def test_caller_asks_again_after_422_and_both_use_the_longer_interval() -> None:
    pair = Pair(network(), SessionPolicy(120), SessionPolicy(0, 300))
    pair.talk(1000.0)
    assert [leg.state for leg in pair.legs] == ["confirmed", "confirmed"]
    assert b"\r\nSession-Expires: 300;refresher=uac" in next(d for d in pair.network.sent if d.startswith(b"UPDATE"))
    assert methods(pair.network.sent)[:4] == [b"INVITE", b"ACK", b"INVITE", b"ACK"]


@pytest.mark.parametrize("refresher", ["us", "peer"])
def test_both_ends_find_out_when_the_network_between_them_dies(refresher: str) -> None:
    pair = Pair(network(), SessionPolicy(90, 90, refresher), SessionPolicy())  # type: ignore[arg-type]
    pair.talk(200.0)
    pair.network.loss = 1.0
    pair.talk(91.0)
    assert pair.ended == [EndCause.TIMEOUT, EndCause.TIMEOUT]
    del pair.mine
    pair.legs.clear()
    pair.talk(100.0)
    assert pair.network.caller.counts() == pair.network.called.counts() == NOTHING


def test_sessions_leave_no_cyclic_garbage() -> None:
    wires = network(allow=NO_UPDATE)
    gc.collect()
    gc.disable()
    try:
        pair = Pair(wires, SessionPolicy(90), SessionPolicy())
        pair.talk(1000.0)
        pair.mine.end(wires.now)
        pair.talk(100.0)
        assert wires.caller.counts() == wires.called.counts() == NOTHING
        del pair
        wires.sent.clear()
        assert gc.collect() == 0
    finally:
        gc.enable()


# The whole OpenTAS.


def talking(lab: Lab) -> Phone:
    """An agent who talks with a caller of the queue."""
    (phone,) = lab.agents(1)
    call = lab.queue_call()
    lab.until(lambda: any(taken.up and taken.confirmed for taken in phone.calls))
    assert call.up
    lab.run(1.0)
    assert lab.state("1001")[0] is AgentState.TALKING
    return phone


@pytest.mark.parametrize("refresher", ["us", "peer"])
def test_caller_whose_phone_dies_is_found_and_the_agent_goes_to_wrap_up(refresher: str) -> None:
    lab = Lab(trunk={"session_expires_s": 120, "refresher": refresher})
    phone = talking(lab)
    lab.run(600.0)
    lab.pbx.die()
    lab.run(30.0)
    assert lab.state("1001")[0] is AgentState.TALKING
    lab.until(lambda: lab.state("1001")[0] is not AgentState.TALKING, 100.0)
    assert lab.state("1001")[0] is AgentState.WRAP_UP
    lab.run(0.1)
    assert phone.taken().ended is EndCause.BYE
    lab.assert_nothing_left(calls=1, waiting_s=150.0)
    (row,) = lab.cdrs
    assert (row.result, row.reason, row.sip_cause) == (Result.FAILED, Reason.SIGNALLING_TIMEOUT, 408)


def test_agents_phone_that_dies_is_found_when_it_asked_for_the_timer() -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    phone.behaviour = Behaviour(timer=SessionPolicy(120, 90, "peer"))
    call = lab.queue_call()
    lab.until(lambda: any(taken.up and taken.confirmed for taken in phone.calls))
    lab.run(300.0)
    phone.die()
    lab.until(lambda: not call.up, 121.0)
    lab.assert_nothing_left(calls=1, waiting_s=150.0)
    assert lab.cdrs[0].reason == Reason.SIGNALLING_TIMEOUT


@pytest.mark.parametrize("refresher", ["us", "peer"])
def test_call_with_timers_on_both_legs_lasts_for_hours(refresher: str) -> None:
    lab = Lab(trunk={"session_expires_s": 600, "refresher": refresher})
    lab.pbx.behaviour = Behaviour(timer=SessionPolicy(1800))
    phone = talking(lab)
    lab.world.wire = None
    lab.run(2 * HOUR_S)
    assert lab.state("1001")[0] is AgentState.TALKING
    lab.pbx.calls[0].hang_up()
    lab.run(1.0)
    assert phone.taken().ended is EndCause.BYE
    lab.assert_nothing_left(calls=1)
    assert lab.cdrs[0].reason == Reason.CALLER_HANGUP


def test_caller_with_a_short_interval_is_told_ours_and_comes_again() -> None:
    lab = Lab(trunk={"min_se_s": 300})
    lab.pbx.behaviour = Behaviour(timer=SessionPolicy(100))
    call = lab.queue_call()
    assert call.up
    lab.run(2000.0)
    assert call.up
    call.hang_up()
    lab.assert_nothing_left(calls=1)
