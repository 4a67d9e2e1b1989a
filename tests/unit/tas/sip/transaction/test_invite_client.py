"""INVITE client transaction: its timers to the tick, its ACK, its end."""

from __future__ import annotations

import pytest

from tas.sip.core import Core
from tas.sip.flow import Flow
from tas.sip.message import Response
from tas.sip.transaction.client import ClientTransaction
from tas.sip.transaction.invite_client import InviteClient
from tests.unit.tas.sip.support import header, make_answer, make_core, make_head, start_line, tcp, udp


class User:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[int] = []

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        self.told.append(response.status)

    def on_failure(self, transaction: ClientTransaction, status: int, now: float) -> None:
        self.told.append(-status)


class Setting:
    def __init__(self, flow: Flow) -> None:
        self.core: Core = make_core()
        self.user = User()
        self.data = make_head().render(b"INVITE")
        self.client = InviteClient(self.core, make_head(), flow, self.data, self.user, 0.0)
        self.now = 0.0

    def answer(self, status: int, tag: bytes = b"peer") -> None:
        self.client.receive(make_answer(self.data, status, tag=tag), self.now)

    def run(self, until: float) -> list[tuple[float, bytes]]:
        """What is sent and when, up to `until`."""
        sent = self.take()
        while (at := self.core.timers.next_deadline()) is not None and at <= until:
            self.now = at
            self.core.timers.fire(at)
            sent += self.take()
        self.now = until
        return sent

    def take(self) -> list[tuple[float, bytes]]:
        sends, self.core.sends = self.core.sends, []
        return [(self.now, start_line(send.data)) for send in sends]


def test_unanswered_invite_repeats_with_timer_a_doubling_and_fails_with_timer_b_at_32_s() -> None:
    setting = Setting(udp())
    sent = setting.run(31.99)
    assert [at for at, _ in sent] == [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert setting.user.told == []
    assert setting.run(32.0) == []
    assert setting.user.told == [-408]
    assert not setting.core.clients
    assert setting.core.timers.running == 0


def test_unanswered_invite_on_tcp_is_sent_once_and_fails_at_32_s() -> None:
    setting = Setting(tcp())
    assert [at for at, _ in setting.run(40.0)] == [0.0]
    assert setting.user.told == [-408]
    assert not setting.core.clients
    assert not setting.core.flow_clients


def test_provisional_stops_retransmission_and_timer_b() -> None:
    setting = Setting(udp())
    setting.answer(100)
    setting.answer(180)
    assert len(setting.run(1000.0)) == 1
    assert setting.user.told == [100, 180]
    assert setting.client.state == "proceeding"
    assert setting.core.timers.running == 0


def test_limit_ends_a_proceeding_invite_after_32_s() -> None:
    setting = Setting(udp())
    setting.answer(180)
    setting.now = 5.0
    setting.client.limit(setting.now)
    setting.run(36.99)
    assert setting.user.told == [180]
    setting.run(37.0)
    assert setting.user.told == [180, -408]
    assert not setting.core.clients


def test_rejection_is_acknowledged_with_the_same_branch_and_each_repetition_again() -> None:
    setting = Setting(udp())
    setting.run(0.0)
    setting.answer(486)
    setting.answer(486)
    ack, again = (send.data for send in setting.core.sends)
    assert ack == again
    assert start_line(ack) == b"ACK"
    assert header(ack, b"Via") == header(setting.data, b"Via")
    assert header(ack, b"CSeq") == b"1 ACK"
    assert header(ack, b"To") == b"<sip:b@b>;tag=peer"
    assert setting.user.told == [486]


def test_rejection_lives_for_timer_d_32_s_on_udp() -> None:
    setting = Setting(udp())
    setting.answer(486)
    setting.run(31.99)
    assert setting.client.state == "completed"
    setting.run(32.0)
    assert setting.client.state == "terminated"
    assert not setting.core.clients


def test_rejection_ends_the_transaction_at_once_on_tcp() -> None:
    setting = Setting(tcp())
    setting.answer(486)
    assert setting.client.state == "terminated"
    assert setting.core.timers.running == 0
    assert [start for _, start in setting.run(0.0)] == [b"INVITE", b"ACK"]


@pytest.mark.parametrize("flow", [udp(), tcp()])
def test_accepted_hands_on_every_2xx_for_timer_m_32_s(flow: Flow) -> None:
    setting = Setting(flow)
    setting.answer(200)
    setting.run(31.99)
    setting.answer(200)
    setting.answer(200, tag=b"fork")
    assert setting.client.state == "accepted"
    setting.run(32.0)
    assert setting.user.told == [200, 200, 200]
    assert setting.client.state == "terminated"
    assert setting.client.user is None


def test_transport_error_fails_with_503() -> None:
    setting = Setting(tcp())
    setting.client.fail(0.0)
    assert setting.user.told == [-503]
    assert not setting.core.clients
    assert setting.core.timers.running == 0
