"""INVITE server transaction: timers G, H, I and L to the tick, RFC 6026's Accepted."""

from __future__ import annotations

import pytest

from tas.sip.flow import Flow
from tas.sip.transaction.invite_server import InviteServer
from tests.unit.tas.sip.support import make_core, make_request, start_line, tcp, udp


class Setting:
    def __init__(self, flow: Flow) -> None:
        self.core = make_core()
        self.request = make_request()
        self.server = InviteServer(self.core, (b"key",), self.request, flow, 0.0)
        self.now = 0.0

    def respond(self, status: int) -> bool:
        return self.server.respond(status, None, now=self.now)

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


def test_100_is_sent_at_once_and_repeated_for_a_retransmission() -> None:
    setting = Setting(udp())
    setting.server.receive(setting.request, 0.0)
    assert setting.take() == [(0.0, b"100"), (0.0, b"100")]
    setting.respond(180)
    setting.server.receive(setting.request, 0.0)
    assert setting.take() == [(0.0, b"180"), (0.0, b"180")]
    assert setting.core.timers.running == 0


def test_rejection_repeats_with_timer_g_up_to_t2_until_timer_h_at_32_s() -> None:
    setting = Setting(udp())
    setting.take()
    setting.respond(486)
    sent = setting.run(31.99)
    assert [at for at, _ in sent] == [0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert setting.server.state == "completed"
    setting.run(32.0)
    assert not setting.core.servers
    assert setting.core.timers.running == 0


def test_ack_stops_the_rejection_and_timer_i_absorbs_for_5_s() -> None:
    setting = Setting(udp())
    setting.respond(486)
    setting.take()
    setting.server.acknowledge(0.0)
    setting.server.acknowledge(0.0)
    setting.server.receive(setting.request, 0.0)
    assert setting.run(4.99) == []
    assert setting.server.state == "confirmed"
    setting.run(5.0)
    assert not setting.core.servers


def test_rejection_on_tcp_is_sent_once_and_ends_with_its_ack() -> None:
    setting = Setting(tcp())
    setting.take()
    setting.respond(486)
    assert len(setting.run(10.0)) == 1
    setting.server.acknowledge(setting.now)
    assert not setting.core.servers
    assert setting.core.timers.running == 0


def test_rejection_on_tcp_without_ack_ends_at_32_s() -> None:
    setting = Setting(tcp())
    setting.respond(486)
    setting.run(31.99)
    assert setting.core.servers
    setting.run(32.0)
    assert not setting.core.servers


@pytest.mark.parametrize("flow", [udp(), tcp()])
def test_accepted_absorbs_retransmissions_for_timer_l_32_s(flow: Flow) -> None:
    setting = Setting(flow)
    setting.respond(200)
    setting.take()
    setting.server.receive(setting.request, 0.0)
    setting.server.acknowledge(0.0)
    assert setting.run(31.99) == []
    assert setting.server.state == "accepted"
    setting.run(32.0)
    assert not setting.core.servers


def test_second_final_response_is_refused() -> None:
    setting = Setting(udp())
    assert setting.respond(200)
    assert not setting.respond(486)
    assert not setting.respond(180)
    assert [start for _, start in setting.take()] == [b"100", b"200"]
