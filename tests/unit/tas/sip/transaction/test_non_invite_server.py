"""Non-INVITE server transaction: timer J to the tick."""

from __future__ import annotations

from tas.sip.flow import Flow
from tas.sip.transaction.non_invite_server import NonInviteServer
from tests.unit.tas.sip.support import make_core, make_request, tcp, udp
from tests.unit.tas.sip.transaction.test_invite_server import Setting as InviteSetting


class Setting(InviteSetting):
    def __init__(self, flow: Flow) -> None:
        self.core = make_core()
        self.request = make_request(b"OPTIONS")
        self.options = NonInviteServer(self.core, (b"key",), self.request, flow)
        self.now = 0.0

    def respond(self, status: int) -> bool:
        return self.options.respond(status, None, now=self.now)


def test_retransmission_before_any_response_is_absorbed() -> None:
    setting = Setting(udp())
    setting.options.receive(setting.request, 0.0)
    assert setting.run(100.0) == []
    assert setting.options.state == "trying"


def test_retransmission_gets_the_latest_response_again() -> None:
    setting = Setting(udp())
    setting.respond(100)
    setting.options.receive(setting.request, 0.0)
    setting.respond(200)
    setting.options.receive(setting.request, 0.0)
    assert [start for _, start in setting.take()] == [b"100", b"100", b"200", b"200"]


def test_final_response_is_kept_for_timer_j_32_s_on_udp() -> None:
    setting = Setting(udp())
    setting.respond(200)
    assert len(setting.run(31.99)) == 1
    assert setting.core.servers
    setting.run(32.0)
    assert not setting.core.servers
    assert setting.core.timers.running == 0


def test_final_response_ends_it_at_once_on_tcp() -> None:
    setting = Setting(tcp())
    setting.respond(200)
    assert not setting.core.servers
    assert setting.core.timers.running == 0


def test_second_final_response_is_refused() -> None:
    setting = Setting(udp())
    assert setting.respond(200)
    assert not setting.respond(500)
