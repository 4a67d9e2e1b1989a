"""What is refused before it becomes a call, and with which answer."""

from __future__ import annotations

from common.contracts.agents import AgentState
from tas.sip.events import ResponseReceived
from tas.sip.flow import Flow
from tests.scenarios.support.lab import Lab
from tests.scenarios.support.peers import Pbx, PeerCall
from tests.scenarios.support.sdp import MALFORMED, NO_CODEC
from tests.scenarios.support.world import World

STRANGER = ("127.0.0.9", 5060)


class Asker(Pbx):
    """Sends OPTIONS and keeps the statuses of the answers."""

    def __init__(self, world: World, address: tuple[str, int], server: tuple[str, int]) -> None:
        super().__init__(world, address, server)
        self.answers: list[int] = []

    def options(self) -> None:
        me = b"<sip:pbx@127.0.0.2>"
        uri = b"sip:127.0.0.1"
        self.layer.request(
            method=b"OPTIONS",
            uri=uri,
            flow=Flow("udp", self.server),
            from_=me,
            to=b"<sip:127.0.0.1>",
            now=self.world.now,
        )
        self.world.touch(self)

    def on_response(self, event: ResponseReceived, now: float) -> None:
        self.answers.append(event.status)


def refused(lab: Lab, call: PeerCall) -> int:
    lab.until(lambda: call.over)
    return call.rejected


def header(call: PeerCall, name: bytes) -> bytes:
    assert call.response is not None
    return call.response.get(name) or b""


def test_unknown_number_gets_404() -> None:
    lab = Lab()
    call = lab.pbx.call("7777")
    assert refused(lab, call) == 404
    lab.assert_nothing_left(calls=1)
    assert (lab.cdrs[0].result, lab.cdrs[0].reason, lab.cdrs[0].called) == ("rejected", "unknown_number", "7777")


def test_offer_without_a_common_codec_gets_488_that_names_ours() -> None:
    lab = Lab()
    call = lab.pbx.call("8000", body=NO_CODEC)
    assert refused(lab, call) == 488
    assert call.response is not None
    assert b"g729" in call.response.reason
    assert b"PCMA, PCMU" in call.response.reason
    lab.assert_nothing_left(calls=1)
    assert (lab.cdrs[0].result, lab.cdrs[0].reason) == ("rejected", "no_common_codec")


def test_malformed_sdp_gets_400() -> None:
    lab = Lab()
    call = lab.pbx.call("8000", body=MALFORMED)
    assert refused(lab, call) == 400
    lab.assert_nothing_left(calls=1)
    assert (lab.cdrs[0].result, lab.cdrs[0].reason) == ("rejected", "bad_offer")


def test_stranger_is_asked_to_authenticate_and_is_no_call() -> None:
    lab = Lab()
    stranger = Pbx(lab.world, STRANGER, lab.tas[0].address)
    call = stranger.call("8000")
    assert refused(lab, call) == 407
    assert call.response is not None
    assert [b"SHA-256" in value for value in call.response.get_all(b"proxy-authenticate")] == [True, False]
    lab.assert_nothing_left(calls=0)


def test_agent_with_a_wrong_password_gets_403_for_calls_and_registration() -> None:
    lab = Lab()
    phone = lab.phone("1001")
    phone.password = b"wrong"
    phone.register()
    lab.run(1.0)
    assert (phone.registered, phone.register_status) == (False, 403)
    assert lab.state("1001")[0] is AgentState.LOGGED_OUT
    assert refused(lab, phone.dial("8000")) == 403
    lab.assert_nothing_left(calls=0)


def test_full_media_servers_give_503_with_retry_after() -> None:
    lab = Lab(media=2, limit=2)
    first, second = lab.queue_call(), lab.queue_call()
    third = lab.pbx.call("8000")
    assert refused(lab, third) == 503
    assert header(third, b"retry-after") == b"5"
    for call in (first, second):
        call.hang_up()
    lab.assert_nothing_left(calls=3)
    assert lab.cdrs[0].reason == "media_full"


def test_draining_node_answers_503_to_new_calls_and_options_and_serves_those_that_are_up() -> None:
    lab = Lab()
    asker = Asker(lab.world, ("127.0.0.2", 5099), lab.tas[0].address)
    lab.agents(1)
    call = lab.queue_call()
    asker.options()
    lab.run(1.0)
    lab.tas[0].control.draining = True
    asker.options()
    late = lab.pbx.call("8000")
    assert refused(lab, late) == 503
    assert header(late, b"retry-after") == b"5"
    lab.run(1.0)
    assert asker.answers == [200, 503]
    assert call.up
    assert lab.state("1001")[0] is AgentState.TALKING
    call.hang_up()
    lab.assert_nothing_left(calls=1)


def test_call_beyond_the_nodes_limit_gets_503() -> None:
    lab = Lab()
    lab.tas[0].control.config.settings.limits.__dict__["max_calls"] = 1
    try:
        first = lab.queue_call()
        second = lab.pbx.call("8000")
        assert refused(lab, second) == 503
        assert header(second, b"retry-after") == b"5"
    finally:
        lab.tas[0].control.config.settings.limits.__dict__["max_calls"] = 2000
    first.hang_up()
    lab.assert_nothing_left(calls=1)


def test_overloaded_layer_sheds_new_calls_and_keeps_dialogs() -> None:
    lab = Lab()
    (phone,) = lab.agents(1)
    call = lab.queue_call()
    lab.until(lambda: phone.taken_count and phone.taken().confirmed)
    lab.tas[0].layer.overloaded = True
    late = lab.pbx.call("8000")
    assert refused(lab, late) == 503
    assert 1 <= int(header(late, b"retry-after")) <= 10
    lab.tas[0].layer.overloaded = False
    phone.taken().hang_up()
    lab.until(lambda: call.ended)
    lab.assert_nothing_left(calls=1)
