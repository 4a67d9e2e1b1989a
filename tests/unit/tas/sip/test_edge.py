"""The edge: a phone on one node's connection, its calls on another node, and what may not pass."""

from __future__ import annotations

import random

import pytest

from tas.sip.events import InviteReceived, UsageAnswered, UsageEnded, UsageReinviteDone, UsageReoffered
from tas.sip.flow import Flow, TransportName
from tas.sip.layer import LayerSettings, SipLayer
from tas.sip.parser import parse_message, validate
from tests.unit.tas.sip.support import NOTHING, SDP, header, make_request, start_line

EDGE = ("192.0.2.1", 5060)
SERVING = ("192.0.2.2", 5070)
PHONE = ("10.0.0.7", 40123)


class Path:
    """The serving node, the edge and the phone; TCP between serving node and edge, and from the phone to the edge."""

    def __init__(self, transport: TransportName = "tcp") -> None:
        source = random.Random(1)
        self.transport: TransportName = transport
        self.serving, self.middle = (
            SipLayer(random=source.randbytes, settings=LayerSettings(udp=at, tcp=at, tls=at)) for at in (SERVING, EDGE)
        )
        self.phone = SipLayer(random=source.randbytes, settings=LayerSettings(tcp=PHONE))
        self.edge = self.middle.open_edge(lambda address: address == SERVING)
        self.phone_flow = Flow(transport, PHONE, EDGE, 7)
        self.node_flow = Flow(transport, (SERVING[0], 51234), EDGE, 8)
        self.route = self.edge.path(self.phone_flow)
        self.phones_own = Flow(transport, EDGE, PHONE, 1)
        self.log: list[tuple[str, bytes]] = []
        self.now = 0.0

    def settle(self) -> None:
        """Carry messages until none is left."""
        while True:
            moved = False
            for name, layer in (("serving", self.serving), ("edge", self.middle), ("phone", self.phone)):
                for send in layer.take_sends():
                    moved = True
                    self.log.append((name, send.data))
                    self.carry(name, send.flow, send.data)
            if not moved:
                return

    def carry(self, name: str, flow: Flow, data: bytes) -> None:
        message = parse_message(data)
        assert validate(message) is None
        assert flow.transport == self.transport
        assert message.via.transport == self.transport.upper().encode()
        if name == "edge":
            if flow is self.phone_flow:
                self.phone.receive_message(message, self.phones_own, self.now)
            else:
                assert flow.remote in (SERVING, self.node_flow.remote)
                self.serving.receive_message(message, Flow(flow.transport, EDGE, SERVING, 3), self.now)
        elif name == "phone":
            assert flow.remote == EDGE
            self.middle.receive_message(message, self.phone_flow, self.now)
        else:
            assert flow.remote == EDGE
            self.middle.receive_message(message, self.node_flow, self.now)

    def starts(self) -> list[tuple[str, bytes]]:
        """Who sent what since the last look."""
        found = [(name, start_line(data)) for name, data in self.log]
        self.log.clear()
        return found

    def run_out(self) -> None:
        for layer in (self.serving, self.middle, self.phone):
            while (at := layer.next_timeout()) is not None:
                layer.handle_timeout(at)
            assert layer.counts() == NOTHING

    def call(self, uri: bytes = b"sip:1001@10.0.0.7:5060;transport=tcp") -> None:
        self.serving.invite(
            uri=uri,
            flow=Flow(self.transport, EDGE, SERVING),
            from_=b"<sip:8000@opentas>",
            to=b"<sip:1001@opentas>",
            body=SDP,
            headers=((b"route", self.route),),
            now=self.now,
        )
        self.settle()


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_call_through_the_edge_connects_reinvites_and_ends_from_either_side(transport: TransportName) -> None:
    path = Path(transport)
    path.call()
    (offer,) = path.phone.take_events()
    assert isinstance(offer, InviteReceived)
    offer.usage.progress(180, now=0.0)
    offer.usage.answer(SDP, 0.0)
    path.settle()
    answered = path.serving.take_events()[-1]
    assert isinstance(answered, UsageAnswered)
    assert [start for name, start in path.starts() if name == "edge"] == [b"INVITE", b"100", b"180", b"200", b"ACK"]

    offer.usage.reinvite(SDP, 0.0)
    path.settle()
    (reoffered,) = path.serving.take_events()
    assert isinstance(reoffered, UsageReoffered)
    answered.usage.answer(SDP, 0.0)
    path.settle()
    assert isinstance(path.phone.take_events()[-1], UsageReinviteDone)
    assert [start for name, start in path.starts() if name == "edge"] == [b"INVITE", b"100", b"200", b"ACK"]

    answered.usage.end(0.0)
    path.settle()
    assert isinstance(path.phone.take_events()[-1], UsageEnded)
    assert [start for name, start in path.starts() if name == "edge"] == [b"BYE", b"200"]
    path.run_out()


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_phone_hangs_up_through_the_edge(transport: TransportName) -> None:
    path = Path(transport)
    path.call()
    (offer,) = path.phone.take_events()
    assert isinstance(offer, InviteReceived)
    offer.usage.answer(SDP, 0.0)
    path.settle()
    offer.usage.end(0.0)
    path.settle()
    assert isinstance(path.serving.take_events()[-1], UsageEnded)
    path.run_out()


@pytest.mark.parametrize(
    ("uri", "route"),
    [
        (b"sip:1001@10.0.0.7:5061;transport=tls", b"<sip:%b@192.0.2.1:5060;transport=tls;lr>"),
        (b"sips:1001@10.0.0.7", b"<sips:%b@192.0.2.1:5060;lr>"),
    ],
)
def test_secured_phone_has_tls_on_both_hops_and_sips_keeps_it_so(uri: bytes, route: bytes) -> None:
    path = Path("tls")
    path.call(uri)
    token = path.route.partition(b"<sip:")[2].partition(b"@")[0]
    (offer,) = path.phone.take_events()
    assert isinstance(offer, InviteReceived)
    assert offer.request.get(b"record-route") == route % token
    offer.usage.answer(SDP, 0.0)
    path.settle()
    path.serving.take_events()
    offer.usage.end(0.0)
    path.settle()
    assert isinstance(path.serving.take_events()[-1], UsageEnded)
    path.run_out()


def test_cancel_takes_the_path_of_its_invite_and_the_same_branch() -> None:
    path = Path()
    path.call()
    path.phone.take_events()
    usage = next(iter(path.serving._core.usages.values()))
    usage.end(0.0)
    path.settle()
    (ended,) = path.phone.take_events()
    assert isinstance(ended, UsageEnded)
    forwarded = [data for name, data in path.log if name == "edge"]
    vias = {header(data, b"Via") for data in forwarded if start_line(data) in (b"INVITE", b"CANCEL", b"ACK")}
    assert len(vias) == 1
    del ended, usage
    path.run_out()


def test_lost_connection_answers_430_at_once() -> None:
    path = Path()
    path.middle.connection_lost(7, 0.0)
    path.call()
    assert path.starts() == [("serving", b"INVITE"), ("edge", b"430"), ("serving", b"ACK")]
    assert len(path.edge) == 0


def test_forged_token_is_not_of_the_edge() -> None:
    path = Path()
    path.route = path.route.replace(b"flow-7-", b"flow-8-")
    assert path.edge.receive_request(make_request(extra=b"Route: " + path.route + b"\r\n"), path.node_flow, 0.0) == 0


@pytest.mark.parametrize(
    ("uri", "to"),
    [
        (b"sip:tas@192.0.2.2:5070", b"<sip:b@b>"),
        (b"sip:0012345@198.51.100.1", b"<sip:b@b>;tag=1"),
        (b"sip:0012345@example.com", b"<sip:b@b>;tag=1"),
    ],
    ids=["new dialog", "stranger", "name"],
)
def test_phone_reaches_nodes_only_and_inside_dialogs_only(uri: bytes, to: bytes) -> None:
    path = Path()
    request = make_request(uri=uri, to=to, extra=b"Route: " + path.route + b"\r\n")
    path.middle.receive_message(request, path.phone_flow, 0.0)
    (send,) = path.middle.take_sends()
    assert start_line(send.data) == b"403"
    assert send.flow is path.phone_flow


def test_request_without_hops_left_gets_483() -> None:
    path = Path()
    request = make_request(extra=b"Route: " + path.route + b"\r\n")
    request.set(b"max-forwards", b"0")
    assert path.edge.receive_request(request, path.node_flow, 0.0) == 483


def test_forwarded_request_has_one_hop_less_our_via_and_record_route_and_no_route() -> None:
    path = Path()
    request = make_request(extra=b"Route: " + path.route + b"\r\n", body=SDP)
    assert path.edge.receive_request(request, path.node_flow, 0.0) is None
    (send,) = path.middle.take_sends()
    assert send.flow is path.phone_flow
    assert header(send.data, b"Max-Forwards") == b"69"
    assert header(send.data, b"Record-Route") == path.route
    assert b"\r\nRoute:" not in send.data
    assert header(send.data, b"Via").startswith(b"SIP/2.0/TCP 192.0.2.1:5060;rport;branch=z9hG4bKedge")
    assert send.data.count(b"\r\nVia: ") == 2
    assert send.data.endswith(SDP)
