"""Dialogs: route sets loose and strict, target refresh, and which flow the next request takes."""

from __future__ import annotations

import pytest

from tas.sip.dialog import Dialog, dialog_as_client, dialog_as_server, next_hop
from tas.sip.flow import Flow
from tas.sip.heads import RequestHead
from tests.unit.tas.sip.support import LOCAL, make_answer, make_request

FLOW = Flow("udp", ("192.0.2.9", 5060), LOCAL)


def our_head(uri: bytes = b"sip:b@192.0.2.9") -> RequestHead:
    return RequestHead(uri, b"SIP/2.0/UDP h;branch=", b"z9hG4bK1", b"<sip:a@a>;tag=mine", b"<sip:b@b>", b"c", 7)


def client_dialog(extra: bytes, flow: Flow = FLOW, uri: bytes = b"sip:b@192.0.2.9") -> Dialog:
    head = our_head(uri)
    return dialog_as_client(head, b"mine", make_answer(head.render(b"INVITE"), 200, extra=extra), flow)


def request_of(dialog: Dialog) -> list[bytes]:
    """The lines of a BYE in the dialog."""
    return dialog.head(b"SIP/2.0/UDP h;branch=", b"z9hG4bK2", 8).render(b"BYE").split(b"\r\n")


def test_dialog_of_a_received_invite_has_the_routes_in_order_and_our_tag() -> None:
    request = make_request(extra=b"Record-Route: <sip:p2;lr>, <sip:p1;lr>\r\n", cseq=5)
    dialog = dialog_as_server(request, b"ours", FLOW)
    assert dialog.routes == (b"<sip:p2;lr>", b"<sip:p1;lr>")
    assert dialog.local == b"<sip:8000@192.0.2.1>;tag=ours"
    assert dialog.remote == b"<sip:a@192.0.2.9>;tag=peer"
    assert (dialog.remote_tag, dialog.remote_cseq, dialog.local_cseq) == (b"peer", 5, 0)
    assert dialog.target == b"sip:a@192.0.2.9:5060"


def test_dialog_of_an_answer_has_the_routes_reversed() -> None:
    dialog = client_dialog(b"Record-Route: <sip:p1;lr>\r\nRecord-Route: <sip:p2;lr>\r\nContact: <sip:t@192.0.2.9>\r\n")
    assert dialog.routes == (b"<sip:p2;lr>", b"<sip:p1;lr>")
    lines = request_of(dialog)
    assert lines[0] == b"BYE sip:t@192.0.2.9 SIP/2.0"
    assert [line for line in lines if line.startswith(b"Route")] == [b"Route: <sip:p2;lr>", b"Route: <sip:p1;lr>"]


def test_strict_router_gets_itself_in_the_request_uri_and_the_target_last() -> None:
    dialog = client_dialog(b"Record-Route: <sip:p1;lr>\r\nRecord-Route: <sip:strict>\r\nContact: <sip:t@192.0.2.9>\r\n")
    lines = request_of(dialog)
    assert lines[0] == b"BYE sip:strict SIP/2.0"
    assert [line for line in lines if line.startswith(b"Route")] == [b"Route: <sip:p1;lr>", b"Route: <sip:t@192.0.2.9>"]


def test_answer_without_contact_leaves_the_request_uri_as_target() -> None:
    head = our_head()
    answer = make_answer(head.render(b"INVITE"), 200)
    answer.remove(b"contact")
    assert dialog_as_client(head, b"mine", answer, FLOW).target == b"sip:b@192.0.2.9"


def test_refresh_changes_the_target_and_keeps_the_routes() -> None:
    dialog = client_dialog(b"Record-Route: <sip:p1;lr>\r\nContact: <sip:t@192.0.2.9>\r\n")
    dialog.refresh(make_request(extra=b"Record-Route: <sip:other;lr>\r\n"))
    assert dialog.target == b"sip:a@192.0.2.9:5060"
    assert dialog.routes == (b"<sip:p1;lr>",)


@pytest.mark.parametrize(
    ("contact", "remote"),
    [
        (b"<sip:t@192.0.2.9:5060>", ("192.0.2.9", 5060)),
        (b"<sip:t@192.0.2.33:5062>", ("192.0.2.33", 5062)),
        (b"<sip:t@192.0.2.33>", ("192.0.2.33", 5060)),
        (b"<sip:t@[2001:db8::1]:5070>", ("2001:db8::1", 5070)),
        (b"<sip:t@abc.invalid;transport=ws>", ("192.0.2.9", 5060)),
        (b"<sip:t@pbx.example.com>", ("192.0.2.9", 5060)),
    ],
)
def test_next_request_goes_to_the_contact_or_by_flow_when_it_is_a_name(contact: bytes, remote: tuple[str, int]) -> None:
    assert client_dialog(b"Contact: " + contact + b"\r\n").next_flow().remote == remote


def test_next_request_goes_to_the_first_route() -> None:
    dialog = client_dialog(
        b"Record-Route: <sip:192.0.2.50:5065;lr;transport=tcp>\r\nContact: <sip:t@192.0.2.9:5060>\r\n"
    )
    flow = dialog.next_flow()
    assert (flow.transport, flow.remote, flow.connection) == ("tcp", ("192.0.2.50", 5065), 0)


def test_phone_behind_a_nat_is_reached_by_flow_although_its_contact_is_private() -> None:
    nat = Flow("udp", ("203.0.113.5", 40000), LOCAL)
    dialog = client_dialog(b"Contact: <sip:t@10.0.0.7:5060>\r\n", flow=nat, uri=b"sip:t@10.0.0.7:5060")
    assert dialog.next_flow() is nat
    request = make_request(via=b"SIP/2.0/UDP 10.0.0.7:5060;rport=40000;received=203.0.113.5;branch=z9hG4bK1")
    request.set(b"contact", b"<sip:t@10.0.0.7:5060>")
    assert dialog_as_server(request, b"ours", nat).next_flow() is nat


def test_living_connection_is_reused_and_a_dead_one_replaced() -> None:
    connection = Flow("tcp", ("192.0.2.9", 51000), LOCAL, 4)
    dialog = dialog_as_server(make_request(), b"ours", connection)
    dialog.target = b"sip:t@192.0.2.9:5060;transport=tcp"
    dialog.proven = None
    assert dialog.next_flow() is connection
    connection.alive = False
    flow = dialog.next_flow()
    assert (flow.transport, flow.remote, flow.connection) == ("tcp", ("192.0.2.9", 5060), 0)


def test_malformed_uri_has_no_next_hop() -> None:
    assert next_hop(b"sip:").address is None
    assert next_hop(b"").address is None


@pytest.mark.parametrize(
    ("uri", "transport", "port"),
    [
        (b"sip:t@192.0.2.9", "udp", 5060),
        (b"sip:t@192.0.2.9;transport=TCP", "tcp", 5060),
        (b"sip:t@192.0.2.9;transport=tls", "tls", 5061),
        (b"sip:t@192.0.2.9:5062;transport=tls", "tls", 5062),
        (b"sips:t@192.0.2.9", "tls", 5061),
        (b"SIPS:t@192.0.2.9;transport=tcp", "tls", 5061),
        (b"sip:t@192.0.2.9;transport=ws", "udp", 5060),
    ],
)
def test_next_hop_takes_transport_and_port_that_the_uri_names(uri: bytes, transport: str, port: int) -> None:
    hop = next_hop(uri)
    assert (hop.transport, hop.address) == (transport, ("192.0.2.9", port))


def test_trunk_whose_connection_is_gone_is_called_back_at_its_contact_though_its_port_was_another() -> None:
    connection = Flow("tls", ("192.0.2.9", 51000), LOCAL, 4)
    request = make_request(via=b"SIP/2.0/TLS 192.0.2.9;rport=51000;received=192.0.2.9;branch=z9hG4bK1")
    request.set(b"contact", b"<sip:t@192.0.2.9;transport=tls>")
    dialog = dialog_as_server(request, b"ours", connection)
    assert dialog.next_flow() is connection
    connection.alive = False
    assert (dialog.next_flow().transport, dialog.next_flow().remote) == ("tls", ("192.0.2.9", 5061))


def test_phone_behind_a_nat_keeps_its_connection_as_the_only_way() -> None:
    connection = Flow("tls", ("203.0.113.5", 40000), LOCAL, 4)
    request = make_request(via=b"SIP/2.0/TLS 10.0.0.7:5061;rport=40000;received=203.0.113.5;branch=z9hG4bK1")
    request.set(b"contact", b"<sip:t@10.0.0.7:5061;transport=tls>")
    dialog = dialog_as_server(request, b"ours", connection)
    connection.alive = False
    assert dialog.next_flow() is connection
