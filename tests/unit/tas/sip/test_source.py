"""Where requests come from: transaction keys and the marks in the top Via."""

import pytest

from tas.sip.flow import Flow
from tas.sip.source import mark_source, own_branch, server_key
from tests.unit.tas.sip.support import make_answer, make_head, make_request

BRANCH = b"z9hG4bK0123456789abcdef01234567"


@pytest.mark.parametrize(
    "end",
    [b"", b";rport=5060", b", SIP/2.0/UDP h;branch=z9hG4bKother", b" ;x=y"],
    ids=["last", "param", "list", "space"],
)
def test_own_branch_is_read_from_the_top_via(end: bytes) -> None:
    response = make_answer(make_head(BRANCH).render(b"INVITE"), 200)
    response.set(b"via", b"SIP/2.0/UDP 192.0.2.1:5060;rport;branch=" + BRANCH + end)
    assert own_branch(response) == BRANCH


def test_own_branch_is_found_in_a_rewritten_via() -> None:
    response = make_answer(make_head().render(b"INVITE"), 200)
    response.set(b"via", b"SIP/2.0/UDP 192.0.2.1:5060; BRANCH = z9hG4bK1")
    assert own_branch(response) == b"z9hG4bK1"


def test_ack_and_cancel_find_the_invite_by_branch_and_sent_by() -> None:
    invite = server_key(make_request(), b"INVITE")
    assert server_key(make_request(b"ACK"), b"INVITE") == invite
    assert server_key(make_request(b"CANCEL"), b"INVITE") == invite
    assert server_key(make_request(b"CANCEL"), b"CANCEL") != invite
    assert server_key(make_request(via=b"SIP/2.0/UDP 192.0.2.8:5060;branch=z9hG4bKpeer1"), b"INVITE") != invite


def test_requests_without_cookie_are_told_apart_by_what_rfc_2543_compares() -> None:
    via = b"SIP/2.0/UDP 192.0.2.9;branch=1"
    first = server_key(make_request(via=via), b"INVITE")
    assert server_key(make_request(via=via), b"INVITE") == first
    assert server_key(make_request(via=via, cseq=2), b"INVITE") != first
    assert server_key(make_request(via=via, call_id=b"other"), b"INVITE") != first


@pytest.mark.parametrize(
    ("via", "marked"),
    [
        (b"SIP/2.0/UDP h;rport;branch=z9hG4bK1", b"SIP/2.0/UDP h;rport=4000;received=203.0.113.5;branch=z9hG4bK1"),
        (b"SIP/2.0/UDP h;branch=z9hG4bK1;rport", b"SIP/2.0/UDP h;branch=z9hG4bK1;rport=4000;received=203.0.113.5"),
        (
            b"SIP/2.0/UDP h;branch=z9hG4bK1;rport, SIP/2.0/UDP g;rport",
            b"SIP/2.0/UDP h;branch=z9hG4bK1;rport=4000;received=203.0.113.5, SIP/2.0/UDP g;rport",
        ),
        (
            b"SIP/2.0/UDP h;branch=z9hG4bK1, SIP/2.0/UDP g",
            b"SIP/2.0/UDP h;branch=z9hG4bK1;received=203.0.113.5, SIP/2.0/UDP g",
        ),
        (b"SIP/2.0/UDP 203.0.113.5;branch=z9hG4bK1", b"SIP/2.0/UDP 203.0.113.5;branch=z9hG4bK1"),
    ],
)
def test_received_and_rport_are_written_into_the_top_via_only(via: bytes, marked: bytes) -> None:
    request = make_request(via=via)
    mark_source(request, Flow("udp", ("203.0.113.5", 4000)))
    assert request.get(b"via") == marked


def test_answer_over_tcp_stays_on_its_connection_without_rport() -> None:
    flow = Flow("tcp", ("203.0.113.5", 4000), connection=3)
    assert mark_source(make_request(via=b"SIP/2.0/TCP h:5060;branch=z9hG4bK1"), flow) is flow
