"""Reaching the called party: which phone, by which way, shown which caller."""

from __future__ import annotations

import pytest

from common.contracts.agents import Binding
from tas.calls.call import Call
from tas.calls.leg import Leg
from tas.errors import CallRefused
from tas.routing.router import Destination, Kind
from tests.unit.tas.rig import Rig, configure
from tests.unit.tas.sip.support import header

OUTSIDE = Destination(Kind.OUTSIDE, "pbx", "0451234")


def leg_to(rig: Rig, agent: str = "1001") -> Leg:
    leg = rig.control.agent_leg(rig.call(), agent)
    assert leg is not None
    return leg


def elsewhere(port: int = 5060, transport: str = "udp", path: str = "") -> Binding:
    """A phone that registered with tas-2."""
    contact = f"sip:1001@192.0.2.77:{port}"
    return Binding("1001", "tas-2", contact, "192.0.2.77", port, transport, path=path)  # type: ignore[arg-type]


def invite(rig: Rig, call: Call, leg: Leg) -> bytes:
    """The INVITE of a called leg whose session is there."""
    leg.address, leg.port = "192.0.2.20", 20000
    rig.sent()
    rig.control.invite(call, leg, rig.now)
    rig.turn()
    (data,) = rig.sent()
    return data


# Agents.


def test_agent_without_a_phone_has_no_leg() -> None:
    rig = Rig()
    assert rig.control.agent_leg(rig.call(), "1001") is None


def test_phone_is_reached_where_it_registered_from() -> None:
    rig = Rig()
    rig.register(b"<sip:1001@10.0.0.9:5062>")
    leg = leg_to(rig)
    assert (leg.uri, leg.peer, leg.route) == (b"sip:1001@10.0.0.9:5062", "192.0.2.9:5060", b"")
    assert (leg.number, leg.incoming) == ("1001", False)


def test_phone_that_registered_last_is_the_one_that_rings() -> None:
    rig = Rig()
    rig.register(b"<sip:1001@10.0.0.9:5062>")
    rig.now += 1
    rig.register(b"<sip:1001@10.0.0.9:5063>")
    assert leg_to(rig).uri == b"sip:1001@10.0.0.9:5063"


def test_phone_of_a_dead_connection_is_passed_over() -> None:
    rig = Rig()
    rig.register()
    (contact,) = rig.registrar.bindings.contacts("1001").values()
    contact.flow.alive = False
    assert rig.control.agent_leg(rig.call(), "1001") is None


def test_phone_that_registered_here_last_is_taken_before_one_of_another_node() -> None:
    rig = Rig()
    rig.registrar.bindings.put_remote("a", elsewhere(), rig.now)
    rig.register()
    assert leg_to(rig).peer == "192.0.2.9:5060"


def test_udp_phone_of_another_node_is_reached_by_its_address() -> None:
    rig = Rig()
    rig.registrar.bindings.put_remote("a", elsewhere(5062), rig.now)
    leg = leg_to(rig)
    assert (leg.uri, leg.peer, leg.route) == (b"sip:1001@192.0.2.77:5062", "192.0.2.77:5062", b"")


def test_connected_phone_of_another_node_is_reached_through_its_edge() -> None:
    rig = Rig()
    path = "<sip:token@192.0.2.2:5070;transport=tcp;lr>"
    rig.registrar.bindings.put_remote("a", elsewhere(40123, "tcp", path), rig.now)
    call = rig.call()
    leg = rig.control.agent_leg(call, "1001")
    assert leg is not None
    assert (leg.peer, leg.route) == ("192.0.2.2:5070", path.encode())
    data = invite(rig, call, leg)
    assert data.startswith(b"INVITE sip:1001@192.0.2.77:40123 SIP/2.0")
    assert header(data, b"Route") == path.encode()


# Outside.


def test_outside_number_is_dialled_at_the_trunks_target() -> None:
    rig = Rig()
    leg = rig.control.outside_leg(rig.call(), OUTSIDE)
    assert (leg.uri, leg.peer, leg.number) == (b"sip:0451234@192.0.2.9:5080", "192.0.2.9:5080", "0451234")


def test_outside_number_cannot_add_to_the_uri() -> None:
    rig = Rig()
    leg = rig.control.outside_leg(rig.call(), Destination(Kind.OUTSIDE, "pbx", "0@evil:1 <x>"))
    assert leg.uri == b"sip:0%40evil%3A1%20%3Cx%3E@192.0.2.9:5080"


def test_trunk_that_is_down_refuses_by_name() -> None:
    rig = Rig()
    rig.trunks.by_name["pbx"].up = False
    with pytest.raises(CallRefused, match="503 Trunk pbx does not answer"):
        rig.control.outside_leg(rig.call(), OUTSIDE)


def test_trunk_without_a_free_channel_refuses_and_takes_none() -> None:
    rig = Rig(configure(max_channels=1))
    call = rig.call()
    with pytest.raises(CallRefused, match="503 All channels of trunk pbx"):
        rig.control.outside_leg(call, OUTSIDE)
    assert rig.trunks.by_name["pbx"].channels == 1


# The INVITE.


def test_caller_is_shown_with_name_and_number() -> None:
    rig = Rig()
    rig.register()
    call = rig.call(extra=b'P-Asserted-Identity: "Jane" <sip:0451234@pbx>\r\n')
    leg = rig.control.agent_leg(call, "1001")
    assert leg is not None
    data = invite(rig, call, leg)
    assert header(data, b"From").startswith(b'"Jane" <sip:0451234@opentas>;tag=')
    assert header(data, b"P-Asserted-Identity") == b'"Jane" <sip:0451234@opentas>'
    assert header(data, b"To") == b"<sip:1001@opentas>"


def test_invite_offers_the_callers_codec_first() -> None:
    rig = Rig()
    rig.register()
    call = rig.call(body=b"v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 4000 RTP/AVP 0 8\r\n")
    leg = rig.control.agent_leg(call, "1001")
    assert leg is not None
    assert b"m=audio 20000 RTP/AVP 0 8 101" in invite(rig, call, leg)


def test_session_id_is_the_same_for_all_versions_and_fits_every_peer() -> None:
    rig = Rig()
    leg = rig.call().caller
    assert rig.control.sdp_session_id(leg) == rig.control.sdp_session_id(leg)
    assert 0 <= rig.control.sdp_session_id(leg) < 2**31


def test_legs_that_were_never_called_leave_nothing() -> None:
    rig = Rig()
    call = rig.call()
    assert rig.control.agent_leg(call, "1002") is None
    rig.control.hang_up(call.uid, rig.now)
    rig.turn()
    assert rig.control.leg_counts() == {"calls": 0, "call_timers": 0}


def test_secured_phone_of_another_node_is_reached_through_its_edge_over_tls() -> None:
    rig = Rig()
    path = "<sip:token@192.0.2.2:5071;transport=tls;lr>"
    rig.registrar.bindings.put_remote("a", elsewhere(40123, "tls", path), rig.now)
    leg = leg_to(rig)
    assert leg.flow is not None
    assert (leg.flow.transport, leg.flow.remote) == ("tls", ("192.0.2.2", 5071))


def test_outside_call_takes_the_transport_of_its_trunk() -> None:
    rig = Rig(configure(target="192.0.2.9:5061", transport="tls"))
    call = rig.call()
    leg = rig.control.outside_leg(call, OUTSIDE)
    assert leg.flow is not None
    assert (leg.flow.transport, leg.flow.remote) == ("tls", ("192.0.2.9", 5061))
    data = invite(rig, call, leg)
    assert data.startswith(b"INVITE sip:0451234@192.0.2.9:5061;transport=tls SIP/2.0\r\nVia: SIP/2.0/TLS ")
