"""The layer: what is matched, what is refused and how, and where answers go."""

from __future__ import annotations

import pytest

from tas.sip.events import (
    InviteReceived,
    RequestReceived,
    ResponseReceived,
    UsageEnded,
    UsageRejected,
)
from tas.sip.flow import Flow
from tas.sip.parser import SipParseError, parse_message
from tas.sip.trace import MessageTrace
from tests.unit.tas.sip.support import (
    LOCAL,
    PEER,
    SDP,
    Bench,
    header,
    make_answer,
    make_request,
    start_line,
    tcp,
)


def request_options(bench: Bench) -> bytes:
    """One OPTIONS of ours on the wire."""
    bench.layer.request(
        method=b"OPTIONS", uri=b"sip:192.0.2.9", flow=bench.flow, from_=b"<sip:tas@x>", to=b"<sip:pbx@x>", now=bench.now
    )
    return bench.one()


def test_invite_gets_100_at_once_and_reaches_the_user_once() -> None:
    bench = Bench()
    request = make_request(body=SDP)
    bench.receive(request)
    bench.receive(make_request(body=SDP))
    assert bench.starts() == [b"100", b"100"]
    event = bench.event()
    assert isinstance(event, InviteReceived)
    assert event.request is request
    assert event.flow is bench.flow


def test_options_is_answered_by_the_user_with_a_tag_and_repeated_for_retransmissions() -> None:
    bench = Bench()
    bench.receive(make_request(b"OPTIONS"))
    event = bench.event()
    assert isinstance(event, RequestReceived)
    bench.layer.respond(event.transaction, 200, headers=((b"accept", b"application/sdp"),), now=0.0)
    answer = bench.one()
    assert header(answer, b"Accept") == b"application/sdp"
    assert b";tag=" in header(answer, b"To")
    bench.receive(make_request(b"OPTIONS"))
    assert bench.one() == answer
    del event
    bench.run_out()


def test_own_request_reports_its_final_response() -> None:
    bench = Bench()
    request = request_options(bench)
    bench.receive(make_answer(request, 100))
    assert bench.events() == []
    bench.receive(make_answer(request, 200))
    event = bench.event()
    assert isinstance(event, ResponseReceived)
    assert event.status == 200
    assert event.response is not None
    bench.run_out()


def test_own_request_without_answer_reports_408_after_32_s() -> None:
    bench = Bench()
    request_options(bench)
    bench.pass_time(31.9)
    assert bench.events() == []
    bench.pass_time(0.1)
    event = bench.event()
    assert isinstance(event, ResponseReceived)
    assert (event.status, event.response) == (408, None)
    bench.run_out()


def test_lost_connection_fails_what_was_sent_on_it_and_nothing_else() -> None:
    bench = Bench()
    bench.flow = tcp(7)
    request_options(bench)
    bench.flow = tcp(8)
    request_options(bench)
    bench.layer.connection_lost(7, 0.0)
    event = bench.event()
    assert isinstance(event, ResponseReceived)
    assert event.status == 503
    bench.pass_time(40)
    assert [event.status for event in bench.events() if isinstance(event, ResponseReceived)] == [408]
    bench.run_out()


def test_failed_connect_fails_what_waited_for_it() -> None:
    bench = Bench()
    bench.flow = tcp(0)
    usage = bench.layer.invite(uri=b"sip:1@x", flow=bench.flow, from_=b"<sip:a@a>", to=b"<sip:b@b>", body=SDP, now=0.0)
    bench.layer.send_failed(tcp(0), 0.0)
    event = bench.event()
    assert isinstance(event, UsageRejected)
    assert (event.usage, event.status) == (usage, 503)
    bench.run_out()


def test_refused_datagram_fails_what_was_sent_to_that_peer() -> None:
    bench = Bench()
    request_options(bench)
    bench.layer.send_failed(Flow("udp", ("192.0.2.77", 5060)), 0.0)
    assert bench.events() == []
    bench.layer.send_failed(Flow("udp", bench.flow.remote), 0.0)
    event = bench.event()
    assert isinstance(event, ResponseReceived)
    assert event.status == 503


def refusal(request_bytes: object, bench: Bench | None = None) -> bytes:
    """The one answer to a request that never reaches the user."""
    bench = bench or Bench()
    bench.receive(request_bytes)  # type: ignore[arg-type]
    answer = bench.one()
    assert bench.events() == []
    return answer


@pytest.mark.parametrize(
    ("request_", "status", "name", "value"),
    [
        (make_request(b"REFER"), b"405", b"Allow", b"INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REGISTER"),
        (make_request(b"JUMP"), b"501", b"Allow", b"INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REGISTER"),
        (make_request(uri=b"sips:8000@192.0.2.1"), b"416", b"Allow", b""),
        (make_request(uri=b"tel:+468123"), b"416", b"Allow", b""),
        (make_request(extra=b"Require: bar, 100rel, foo\r\n"), b"420", b"Unsupported", b"bar, foo"),
        (make_request(extra=b"Content-Type: text/plain\r\n", body=b"hi"), b"415", b"Accept", b"application/sdp"),
        (make_request(extra=b"Content-Encoding: gzip\r\n", body=b"hi"), b"415", b"Accept-Encoding", b"identity"),
        (make_request(extra=b"Accept: text/plain\r\n"), b"406", b"Accept", b"application/sdp"),
        (make_request(b"CANCEL"), b"481", b"Allow", b""),
        (make_request(b"BYE"), b"481", b"Allow", b""),
        (make_request(b"BYE", to=b"<sip:b@b>;tag=unknown"), b"481", b"Allow", b""),
        (make_request(to=b"<sip:b@b>;tag=unknown"), b"481", b"Allow", b""),
        (make_request(b"OPTIONS", to=b"<sip:b@b>;tag=unknown"), b"481", b"Allow", b""),
        (make_request(b"INFO"), b"481", b"Allow", b""),
    ],
)
def test_request_that_cannot_be_served_is_refused_with_what_would_help(
    request_: object, status: bytes, name: bytes, value: bytes
) -> None:
    answer = refusal(request_)
    assert start_line(answer) == status
    assert header(answer, name) == value
    assert b";tag=" in header(answer, b"To")


def test_refusal_of_a_repetition_carries_the_same_tag() -> None:
    bench = Bench()
    assert refusal(make_request(b"JUMP"), bench) == refusal(make_request(b"JUMP"), bench)


def test_invite_without_hops_left_gets_483_but_options_is_served() -> None:
    message = make_request()
    message.set(b"max-forwards", b"0")
    assert start_line(refusal(message)) == b"483"
    bench = Bench()
    options = make_request(b"OPTIONS")
    options.set(b"max-forwards", b"0")
    bench.receive(options)
    assert isinstance(bench.event(), RequestReceived)


def test_same_request_over_a_second_path_gets_482() -> None:
    bench = Bench()
    bench.receive(make_request(branch=b"z9hG4bKpath1"))
    bench.receive(make_request(branch=b"z9hG4bKpath2"))
    assert bench.starts() == [b"100", b"482"]
    assert len(bench.events()) == 1


def test_malformed_headers_get_400_with_the_reason() -> None:
    message = make_request(from_=b"<sip:a@192.0.2.9;tag=peer")
    assert refusal(message).startswith(b"SIP/2.0 400 From: ")
    message = make_request(b"BYE", to=b"<sip:b@b;tag=x")
    assert refusal(message).startswith(b"SIP/2.0 400 ")


def test_parse_error_is_answered_when_an_answer_can_be_made() -> None:
    bench = Bench()
    with pytest.raises(SipParseError) as caught:
        parse_message(
            b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n"
            b"Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: many\r\n\r\n"
        )
    bench.layer.receive_error(caught.value, bench.flow, 0.0)
    assert bench.one().startswith(b"SIP/2.0 400 Content-Length is not a number\r\n")


def test_parse_error_without_call_id_is_dropped() -> None:
    bench = Bench()
    with pytest.raises(SipParseError) as caught:
        parse_message(b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nContent-Length: many\r\n\r\n")
    bench.layer.receive_error(caught.value, bench.flow, 0.0)
    assert bench.sent() == []


def test_unknown_ack_and_stray_response_are_dropped() -> None:
    bench = Bench()
    bench.receive(make_request(b"ACK", to=b"<sip:b@b>;tag=x"))
    bench.receive(make_answer(make_request_bytes(), 200))
    assert bench.sent() == []
    assert bench.events() == []


def make_request_bytes() -> bytes:
    """Some request of ours that was never sent."""
    return b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK77\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n"  # noqa: E501


def test_overload_sheds_new_calls_and_serves_dialogs() -> None:
    bench = Bench()
    bench.receive(make_request(body=SDP))
    event = bench.event()
    assert isinstance(event, InviteReceived)
    event.usage.answer(SDP, 0.0)
    tag = header(bench.sent()[-1], b"To")
    bench.layer.overloaded = True
    answer = refusal(make_request(call_id=b"call-2", branch=b"z9hG4bKother"), bench)
    assert start_line(answer) == b"503"
    assert 1 <= int(header(answer, b"Retry-After")) <= 10
    bench.receive(make_request(b"BYE", to=tag, cseq=2, branch=b"z9hG4bKbye"))
    assert bench.starts() == [b"200"]


def test_rport_is_filled_in_and_the_answer_goes_to_the_source() -> None:
    bench = Bench()
    flow = Flow("udp", ("203.0.113.5", 40000), LOCAL)
    bench.receive(make_request(), flow)
    assert header(bench.one(), b"Via") == (
        b"SIP/2.0/UDP 192.0.2.9:5060;rport=40000;received=203.0.113.5;branch=z9hG4bKpeer1"
    )
    assert bench.flows == [flow]


def test_without_rport_the_answer_goes_to_the_port_of_the_via() -> None:
    bench = Bench()
    bench.receive(make_request(via=b"SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1"), Flow("udp", ("192.0.2.9", 40000)))
    assert header(bench.one(), b"Via") == b"SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1"
    assert bench.flows[0].remote == ("192.0.2.9", 5070)


def test_retransmission_of_an_rfc_2543_peer_is_matched_without_a_branch() -> None:
    bench = Bench()
    via = b"SIP/2.0/UDP 192.0.2.9:5060"
    bench.receive(make_request(via=via, body=SDP))
    bench.receive(make_request(via=via, body=SDP))
    event = bench.event()
    assert isinstance(event, InviteReceived)
    event.usage.reject(486, now=0.0)
    assert bench.starts() == [b"100", b"100", b"486"]
    bench.receive(make_request(b"CANCEL", via=via))
    bench.receive(make_request(b"ACK", via=via, to=b"<sip:8000@192.0.2.1>;tag=x"))
    bench.pass_time(4.9)
    assert bench.starts() == [b"200"]
    bench.run_out()


def test_record_route_goes_into_responses_that_make_a_dialog() -> None:
    bench = Bench()
    routes = b"Record-Route: <sip:p2;lr>\r\nRecord-Route: <sip:p1;lr>\r\n"
    bench.receive(make_request(extra=routes, body=SDP))
    event = bench.event()
    assert isinstance(event, InviteReceived)
    event.usage.progress(180, now=0.0)
    event.usage.reject(486, now=0.0)
    trying, ringing, busy = bench.sent()
    assert routes.strip() in ringing
    assert b"Record-Route" not in trying
    assert b"Record-Route" not in busy


def test_trace_holds_both_directions_of_a_call() -> None:
    trace = MessageTrace()
    bench = Bench(trace=trace)
    bench.receive(make_request(body=SDP))
    event = bench.event()
    assert isinstance(event, InviteReceived)
    event.usage.reject(486, now=0.0)
    ladder = [(message.sent, message.line, message.cseq) for message in trace.get(b"call-1")]
    assert ladder == [
        (False, b"INVITE sip:8000@192.0.2.1 SIP/2.0", b"1 INVITE"),
        (True, b"SIP/2.0 100 Trying", b"1 INVITE"),
        (True, b"SIP/2.0 486 Busy Here", b"1 INVITE"),
    ]


def test_owner_is_kept_until_the_last_event_was_fetched_and_cleared_after() -> None:
    bench = Bench()
    bench.receive(make_request(body=SDP))
    event = bench.event()
    assert isinstance(event, InviteReceived)
    usage = event.usage
    usage.owner = call = object()
    bench.receive(make_request(b"CANCEL"))
    last = bench.event()
    assert isinstance(last, UsageEnded)
    assert last.usage.owner is call
    bench.events()
    assert usage.owner is None


@pytest.mark.parametrize(
    ("uri", "extra", "contact"),
    [
        (b"sip:8000@192.0.2.1", b"", b"<sip:tas@192.0.2.1:5060;transport=tls>"),
        (b"sips:8000@192.0.2.1", b"", b"<sips:tas@192.0.2.1:5060>"),
        (b"sip:8000@192.0.2.1", b"Record-Route: <sips:192.0.2.9;lr>\r\n", b"<sips:tas@192.0.2.1:5060>"),
    ],
)
def test_contact_over_tls_is_sips_only_where_the_peer_asked_for_it(uri: bytes, extra: bytes, contact: bytes) -> None:
    bench = Bench()
    bench.receive(make_request(uri=uri, extra=extra, body=SDP), Flow("tls", PEER, LOCAL, 1))
    event = bench.event()
    assert isinstance(event, InviteReceived)
    bench.sent()
    event.usage.answer(SDP, bench.now)
    answer = bench.one()
    assert header(answer, b"Contact") == contact
    to = header(answer, b"To")
    bench.receive(make_request(b"ACK", uri=uri, to=to, branch=b"z9hG4bKack"), Flow("tls", PEER, LOCAL, 1))
    event.usage.reinvite(SDP, bench.now)
    again = bench.one()
    assert (start_line(again), header(again, b"Contact")) == (b"INVITE", contact)
