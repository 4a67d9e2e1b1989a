"""Two SIP layers wired in memory on a virtual clock: calls through loss, races and hang-ups, nothing left over."""

from __future__ import annotations

import gc
import random
from operator import itemgetter
from time import process_time

from tas.sip.events import (
    InviteReceived,
    UsageAnswered,
    UsageConfirmed,
    UsageEnded,
    UsageProgress,
    UsageReinviteDone,
    UsageReoffered,
)
from tas.sip.flow import Flow
from tas.sip.invite.usage import InviteUsage
from tas.sip.layer import LayerSettings, SipLayer
from tas.sip.parser import parse_message

OFFER = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"
ANSWER = OFFER.replace(b"4000", b"5000")
CALLER = ("127.0.0.2", 5060)
CALLED = ("127.0.0.1", 5060)
TRIP_S = 0.01
"""One way through the network."""


class Network:
    """Two layers and what is on its way between them."""

    def __init__(self, seed: int = 1, loss: float = 0.0, jitter: float = 0.0) -> None:
        self.jitter = jitter
        self.random = random.Random(seed)
        self.loss = loss
        self.now = 0.0
        self.caller = SipLayer(random=self.random.randbytes, settings=LayerSettings(udp=CALLER))
        self.called = SipLayer(random=self.random.randbytes, settings=LayerSettings(udp=CALLED))
        self.to_called = Flow("udp", CALLED, CALLER)
        self.to_caller = Flow("udp", CALLER, CALLED)
        self.wire: list[tuple[float, SipLayer, Flow, bytes]] = []
        self.sent: list[bytes] = []

    def flush(self) -> None:
        """Move what the layers sent onto the wire, or lose it."""
        for layer, other, flow in (
            (self.caller, self.called, self.to_caller),
            (self.called, self.caller, self.to_called),
        ):
            for send in layer.take_sends():
                self.sent.append(send.data)
                if self.loss == 0.0 or self.random.random() >= self.loss:
                    delay = TRIP_S + self.random.random() * self.jitter
                    self.wire.append((self.now + delay, other, flow, send.data))

    def deliver(self) -> None:
        """Hand over what has arrived."""
        due = self.wire if self.jitter == 0.0 else sorted(self.wire, key=itemgetter(0))
        due = [item for item in due if item[0] <= self.now]
        self.wire = [item for item in self.wire if item[0] > self.now]
        for _, layer, flow, data in due:
            layer.receive_message(parse_message(data), flow, self.now)

    def next_time(self) -> float | None:
        """When something happens next."""
        times = [min(at for at, _, _, _ in self.wire)] if self.wire else []
        times += [at for at in (self.caller.next_timeout(), self.called.next_timeout()) if at is not None]
        return min(times, default=None)

    def advance(self) -> bool:
        """Jump to the next happening; False when nothing is left."""
        self.flush()
        at = self.next_time()
        if at is None:
            return False
        self.now = max(self.now, at)
        self.deliver()
        self.caller.handle_timeout(self.now)
        self.called.handle_timeout(self.now)
        return True


class Users:
    """Both users: the called one rings and answers, the caller hangs up once connected."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.connected = 0
        self.ended = 0
        self.other: list[object] = []

    def run(self) -> None:
        """Until nothing is left to happen."""
        while True:
            self.act()
            if not self.network.advance():
                break
            self.act()
        self.act()

    def act(self) -> None:
        now = self.network.now
        for event in self.network.called.take_events():
            if isinstance(event, InviteReceived):
                event.usage.progress(180, now=now)
                event.usage.answer(ANSWER, now)
            elif isinstance(event, UsageEnded):
                self.ended += 1
            elif not isinstance(event, UsageConfirmed):
                self.other.append(event)
        for event in self.network.caller.take_events():
            if isinstance(event, UsageAnswered):
                assert event.body == ANSWER
                self.connected += 1
                event.usage.end(now)
            elif not isinstance(event, UsageProgress):
                self.other.append(event)

    def call(self) -> InviteUsage:
        """Start one call."""
        return self.network.caller.invite(
            uri=b"sip:8000@127.0.0.1",
            flow=self.network.to_called,
            from_=b"<sip:1000@127.0.0.2>",
            to=b"<sip:8000@127.0.0.1>",
            body=OFFER,
            now=self.network.now,
        )


class HoldingUsers(Users):
    """Both sides put the other on hold as soon as they can, so that offers meet; then the caller hangs up."""

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.held = 0
        self.offered: set[int] = set()

    def act(self) -> None:
        now = self.network.now
        for event in self.network.called.take_events():
            if isinstance(event, InviteReceived):
                event.usage.answer(ANSWER, now)
            elif isinstance(event, UsageConfirmed) and event.usage.key not in self.offered:
                self.offered.add(event.usage.key)
                event.usage.reinvite(ANSWER, now)
            elif isinstance(event, UsageReoffered):
                event.usage.answer(ANSWER, now)
            elif isinstance(event, UsageEnded):
                self.ended += 1
        for event in self.network.caller.take_events():
            if isinstance(event, UsageAnswered):
                event.usage.reinvite(OFFER, now)
            elif isinstance(event, UsageReoffered):
                event.usage.answer(OFFER, now)
            elif isinstance(event, UsageReinviteDone):
                self.held += 1
                event.usage.end(now)


NOTHING = {"transactions": 0, "dialogs": 0, "usages": 0, "timers": 0}


def test_one_call_without_loss() -> None:
    network = Network()
    users = Users(network)
    users.call()
    users.run()
    assert (users.connected, users.ended, users.other) == (1, 1, [])
    kinds = [data.split(b" ", 2)[:2] for data in network.sent]
    starts = [first if not first.startswith(b"SIP/") else status for first, status in kinds]
    assert starts == [b"INVITE", b"100", b"180", b"200", b"ACK", b"BYE", b"200"]
    assert network.caller.counts() == network.called.counts() == NOTHING


def test_two_thousand_calls_with_a_tenth_lost_each_way_all_complete() -> None:
    network = Network(seed=7, loss=0.1)
    users = Users(network)
    start = process_time()
    for _ in range(2000):
        users.call()
    users.run()
    assert (users.connected, users.ended, users.other) == (2000, 2000, [])
    assert network.caller.counts() == network.called.counts() == NOTHING
    assert process_time() - start < 2.0


def test_thousand_calls_leave_no_cyclic_garbage() -> None:
    network = Network()
    users = Users(network)
    gc.collect()
    gc.disable()
    try:
        for _ in range(1000):
            users.call()
        users.run()
        network.sent.clear()
        assert users.ended == 1000
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_calls_with_offers_both_ways_under_loss_end_clean_and_without_cyclic_garbage() -> None:
    network = Network(seed=3, loss=0.1)
    users = HoldingUsers(network)
    gc.collect()
    gc.disable()
    try:
        for _ in range(300):
            users.call()
        users.run()
        network.sent.clear()
        assert network.caller.counts() == network.called.counts() == NOTHING
        assert (users.held, users.ended) == (300, 300)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_calls_cancelled_at_any_moment_under_loss_end_clean() -> None:
    network = Network(seed=5, loss=0.1)
    users = Users(network)
    for number in range(400):
        usage = users.call()
        network.advance()
        users.act()
        for _ in range(number % 9):
            network.advance()
            users.act()
        usage.end(network.now)
        del usage
    users.run()
    assert network.caller.counts() == network.called.counts() == NOTHING


def test_reordered_messages_do_not_break_calls() -> None:
    network = Network(seed=11, loss=0.02, jitter=0.6)
    users = Users(network)
    for _ in range(300):
        users.call()
    users.run()
    assert network.caller.counts() == network.called.counts() == NOTHING
    assert users.connected == users.ended == 300
