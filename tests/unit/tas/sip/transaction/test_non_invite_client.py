"""Non-INVITE client transaction: timers E, F and K to the tick."""

from __future__ import annotations

from tas.sip.flow import Flow
from tas.sip.transaction.non_invite_client import NonInviteClient
from tests.unit.tas.sip.support import make_answer, make_core, make_head, tcp, udp
from tests.unit.tas.sip.transaction.test_invite_client import Setting as InviteSetting
from tests.unit.tas.sip.transaction.test_invite_client import User


class Setting(InviteSetting):
    def __init__(self, flow: Flow) -> None:
        self.core = make_core()
        self.user = User()
        self.data = make_head().render(b"OPTIONS")
        self.request = NonInviteClient(self.core, b"OPTIONS", make_head(), flow, self.data, self.user, 0.0)
        self.now = 0.0

    def answer(self, status: int, tag: bytes = b"peer") -> None:
        self.request.receive(make_answer(self.data, status, tag=tag), self.now)


def test_unanswered_request_repeats_with_timer_e_up_to_t2_and_fails_with_timer_f_at_32_s() -> None:
    setting = Setting(udp())
    sent = setting.run(31.99)
    assert [at for at, _ in sent] == [0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert setting.user.told == []
    setting.run(32.0)
    assert setting.user.told == [-408]
    assert not setting.core.clients
    assert setting.core.timers.running == 0


def test_provisional_slows_timer_e_to_t2_and_timer_f_still_ends_it() -> None:
    setting = Setting(udp())
    setting.answer(100)
    sent = setting.run(40.0)
    assert [at for at, _ in sent] == [0.0, 0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]
    assert setting.user.told == [100, -408]


def test_final_response_is_told_once_and_absorbed_for_timer_k_5_s() -> None:
    setting = Setting(udp())
    setting.answer(200)
    setting.run(4.99)
    setting.answer(200)
    assert setting.user.told == [200]
    assert setting.request.state == "completed"
    setting.run(5.0)
    assert setting.request.state == "terminated"
    assert not setting.core.clients


def test_final_response_ends_it_at_once_on_tcp_where_nothing_is_repeated() -> None:
    setting = Setting(tcp())
    assert len(setting.run(20.0)) == 1
    setting.answer(404)
    assert setting.user.told == [404]
    assert setting.request.state == "terminated"
    assert not setting.core.clients
    assert setting.core.timers.running == 0


def test_lost_connection_fails_it_with_503() -> None:
    setting = Setting(tcp())
    setting.request.fail(0.0)
    assert setting.user.told == [-503]
    assert not setting.core.flow_clients
