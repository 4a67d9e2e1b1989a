"""INVITE usage: answers, ACKs, hang-ups in every state, races of CANCEL and BYE."""

from __future__ import annotations

import pytest

from tas.sip.events import (
    EndCause,
    InviteReceived,
    UsageAnswered,
    UsageConfirmed,
    UsageEnded,
    UsageInfo,
    UsageProgress,
    UsageRejected,
)
from tas.sip.flow import Flow
from tas.sip.invite.usage import InviteUsage
from tas.sip.message import Request
from tests.unit.tas.sip.support import SDP, Bench, header, make_answer, make_request, start_line, tcp


def invited(bench: Bench, **how: object) -> InviteUsage:
    """A received call, not answered yet."""
    bench.receive(make_request(body=SDP, **how))  # type: ignore[arg-type]
    event = bench.event()
    assert isinstance(event, InviteReceived)
    bench.sent()
    return event.usage


def answered(bench: Bench) -> tuple[InviteUsage, bytes]:
    """A received call, answered but not acknowledged, and our To."""
    usage = invited(bench)
    usage.answer(SDP, bench.now)
    return usage, header(bench.one(), b"To")


def inside(method: bytes, to: bytes, cseq: int, body: bytes = b"", extra: bytes = b"") -> Request:
    """The peer's request inside the dialog of its call."""
    branch = b"z9hG4bK%b%d" % (method, cseq)
    return make_request(method, to=to, cseq=cseq, branch=branch, body=body, extra=extra)


def confirmed(bench: Bench) -> tuple[InviteUsage, bytes]:
    """A received call, answered and acknowledged."""
    usage, to = answered(bench)
    bench.receive(inside(b"ACK", to, 1))
    assert isinstance(bench.event(), UsageConfirmed)
    return usage, to


def calling(bench: Bench, body: bytes = SDP) -> tuple[InviteUsage, bytes]:
    """A call of ours and its INVITE on the wire."""
    usage = bench.layer.invite(
        uri=b"sip:b@192.0.2.9", flow=bench.flow, from_=b"<sip:8000@x>", to=b"<sip:b@x>", body=body, now=bench.now
    )
    return usage, bench.one()


def connected(bench: Bench) -> tuple[InviteUsage, bytes]:
    """A call of ours, answered and acknowledged, and its INVITE."""
    usage, invite = calling(bench)
    bench.receive(make_answer(invite, 200, body=SDP))
    assert isinstance(bench.event(), UsageAnswered)
    bench.sent()
    return usage, invite


def from_called(method: bytes, invite: bytes, cseq: int, body: bytes = b"") -> Request:
    """A request of the called peer inside the dialog of our INVITE."""
    return make_request(
        method,
        from_=header(invite, b"To") + b";tag=peer",
        to=header(invite, b"From"),
        call_id=header(invite, b"Call-ID"),
        cseq=cseq,
        branch=b"z9hG4bKcalled%b%d" % (method, cseq),
        body=body,
    )


# Calls we receive.


@pytest.mark.parametrize("flow", [None, tcp()])
def test_2xx_is_repeated_on_every_transport_until_32_s_and_then_the_call_ends_with_bye(flow: Flow | None) -> None:
    bench = Bench()
    bench.flow = flow or bench.flow
    answered(bench)
    times: list[float] = []
    while not bench.events():
        at = bench.layer.next_timeout()
        assert at is not None
        bench.pass_time(at - bench.now)
        times += [bench.now] * len(bench.starts())
    # The last one is the BYE.
    assert times == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5, 32.0]


def test_unacknowledged_answer_tells_no_ack_and_sends_bye() -> None:
    bench = Bench()
    answered(bench)
    bench.pass_time(31.99)
    bench.sent()
    bench.pass_time(0.01)
    event = bench.event()
    assert isinstance(event, UsageEnded)
    assert event.cause is EndCause.NO_ACK
    assert bench.starts() == [b"BYE"]
    del event
    bench.run_out()


def test_ack_stops_the_repetition_and_hands_over_its_body() -> None:
    bench = Bench()
    usage, to = answered(bench)
    bench.receive(inside(b"ACK", to, 1, body=SDP))
    bench.receive(inside(b"ACK", to, 1, body=SDP))
    event = bench.event()
    assert isinstance(event, UsageConfirmed)
    assert (event.usage, event.body) == (usage, SDP)
    bench.pass_time(40)
    assert bench.sent() == []


def test_retransmitted_invite_after_the_answer_is_absorbed() -> None:
    bench = Bench()
    answered(bench)
    bench.receive(make_request(body=SDP))
    assert bench.sent() == []
    assert bench.events() == []


def test_answer_carries_contact_allow_and_content_type() -> None:
    bench = Bench()
    usage = invited(bench)
    usage.answer(SDP, 0.0, headers=((b"p-asserted-identity", b"<sip:8000@x>"),))
    answer = bench.one()
    assert header(answer, b"Contact") == b"<sip:tas@192.0.2.1:5060>"
    assert header(answer, b"Content-Type") == b"application/sdp"
    assert header(answer, b"P-Asserted-Identity") == b"<sip:8000@x>"
    assert b"UPDATE" in header(answer, b"Allow")
    assert answer.endswith(SDP)


def test_rejection_ends_the_usage_without_an_event() -> None:
    bench = Bench()
    usage = invited(bench)
    usage.reject(488, b"No codec in common", ((b"warning", b'304 x "none"'),), now=0.0)
    answer = bench.one()
    assert answer.startswith(b"SIP/2.0 488 No codec in common\r\n")
    assert header(answer, b"Warning") == b'304 x "none"'
    bench.receive(make_request(b"ACK"))
    bench.run_out()


def test_cancel_before_the_answer_gets_200_and_the_invite_487() -> None:
    bench = Bench()
    invited(bench)
    bench.receive(make_request(b"CANCEL"))
    ok, terminated = bench.sent()
    assert (start_line(ok), start_line(terminated)) == (b"200", b"487")
    assert header(ok, b"CSeq") == b"1 CANCEL"
    assert header(ok, b"To") == header(terminated, b"To")
    event = bench.event()
    assert isinstance(event, UsageEnded)
    assert event.cause is EndCause.CANCEL
    bench.receive(make_request(b"ACK"))
    del event
    bench.run_out()


def test_cancel_after_the_answer_gets_200_and_changes_nothing() -> None:
    bench = Bench()
    answered(bench)
    bench.receive(make_request(b"CANCEL"))
    assert bench.starts() == [b"200"]
    assert bench.events() == []


def test_bye_gets_200_and_ends_the_call() -> None:
    bench = Bench()
    usage, to = confirmed(bench)
    bench.receive(inside(b"BYE", to, 2))
    assert bench.starts() == [b"200"]
    event = bench.event()
    assert isinstance(event, UsageEnded)
    assert (event.usage, event.cause) == (usage, EndCause.BYE)
    bench.receive(inside(b"BYE", to, 2))
    assert bench.starts() == [b"200"]
    bench.receive(inside(b"BYE", to, 3))
    assert bench.starts() == [b"481"]
    del event
    bench.run_out()


def test_bye_that_overtakes_the_ack_ends_the_call() -> None:
    bench = Bench()
    _, to = answered(bench)
    bench.receive(inside(b"BYE", to, 2))
    assert bench.starts() == [b"200"]
    assert isinstance(bench.event(), UsageEnded)
    bench.receive(inside(b"ACK", to, 1))
    assert bench.events() == []
    bench.run_out()


def test_bye_in_the_early_dialog_gets_200_and_the_invite_487() -> None:
    bench = Bench()
    usage = invited(bench)
    usage.progress(180, now=0.0)
    to = header(bench.one(), b"To")
    bench.receive(inside(b"BYE", to, 2))
    assert bench.starts() == [b"200", b"487"]
    assert isinstance(bench.event(), UsageEnded)
    bench.run_out()


def test_hang_up_before_the_ack_waits_for_it() -> None:
    bench = Bench()
    usage, to = answered(bench)
    usage.end(bench.now)
    assert bench.sent() == []
    bench.receive(inside(b"ACK", to, 1))
    assert bench.starts() == [b"BYE"]
    assert bench.events() == []
    bench.run_out()


def test_hang_up_sends_bye_with_the_reason_to_the_contact_and_ends_silently() -> None:
    bench = Bench()
    usage, to = confirmed(bench)
    usage.end(bench.now, reason_header=b"Q.850;cause=16")
    bye = bench.one()
    assert bye.startswith(b"BYE sip:a@192.0.2.9:5060 SIP/2.0\r\n")
    assert header(bye, b"From") == to
    assert header(bye, b"To") == b"<sip:a@192.0.2.9>;tag=peer"
    assert header(bye, b"Reason") == b"Q.850;cause=16"
    bench.receive(make_answer(bye, 200))
    assert bench.events() == []
    bench.run_out()


def test_hang_up_of_a_ringing_call_rejects_it() -> None:
    bench = Bench()
    usage = invited(bench)
    usage.end(0.0, status=480)
    assert bench.starts() == [b"480"]
    bench.run_out()


def test_crossing_byes_both_get_200() -> None:
    bench = Bench()
    usage, to = confirmed(bench)
    usage.end(bench.now)
    bye = bench.one()
    bench.receive(inside(b"BYE", to, 2))
    assert bench.starts() == [b"200"]
    bench.receive(make_answer(bye, 481))
    assert bench.events() == []
    bench.run_out()


def test_lower_cseq_inside_the_dialog_gets_500() -> None:
    bench = Bench()
    _, to = confirmed(bench)
    bench.receive(inside(b"INFO", to, 5))
    bench.receive(inside(b"INFO", to, 4))
    assert bench.starts() == [b"200", b"500"]
    bench.receive(inside(b"BYE", to, 6))


def test_info_is_answered_and_handed_on() -> None:
    bench = Bench()
    _, to = confirmed(bench)
    bench.receive(inside(b"INFO", to, 2, b"Signal=5\r\n", b"Content-Type: application/dtmf-relay\r\n"))
    assert bench.starts() == [b"200"]
    event = bench.event()
    assert isinstance(event, UsageInfo)
    assert (event.content_type, event.body) == (b"application/dtmf-relay", b"Signal=5\r\n")


@pytest.mark.parametrize(("method", "status"), [(b"OPTIONS", b"200"), (b"REFER", b"405"), (b"PRACK", b"481")])
def test_other_methods_inside_the_dialog(method: bytes, status: bytes) -> None:
    bench = Bench()
    _, to = confirmed(bench)
    bench.receive(inside(method, to, 2))
    assert bench.starts() == [status]
    assert bench.events() == []


def test_request_with_our_tag_and_another_call_id_or_peer_tag_gets_481() -> None:
    bench = Bench()
    _, to = confirmed(bench)
    bench.receive(make_request(b"BYE", to=to, cseq=2, branch=b"z9hG4bK1", call_id=b"other"))
    bench.receive(make_request(b"BYE", to=to, cseq=2, branch=b"z9hG4bK2", from_=b"<sip:a@192.0.2.9>;tag=stranger"))
    assert bench.starts() == [b"481", b"481"]
    assert bench.events() == []


# Calls we make.


def test_call_progresses_and_is_acknowledged_at_once() -> None:
    bench = Bench()
    usage, invite = calling(bench)
    assert header(invite, b"Contact") == b"<sip:tas@192.0.2.1:5060>"
    bench.receive(make_answer(invite, 100, tag=b""))
    bench.receive(make_answer(invite, 183, body=SDP))
    event = bench.event()
    assert isinstance(event, UsageProgress)
    assert (event.status, event.body) == (183, SDP)
    bench.receive(make_answer(invite, 200, body=SDP))
    ack = bench.one()
    assert ack.startswith(b"ACK sip:b@192.0.2.9:5060 SIP/2.0\r\n")
    assert header(ack, b"Via") != header(invite, b"Via")
    assert header(ack, b"CSeq") == b"1 ACK"
    answer = bench.event()
    assert isinstance(answer, UsageAnswered)
    assert (answer.usage, answer.body) == (usage, SDP)
    bench.receive(make_answer(invite, 200, body=SDP))
    assert bench.one() == ack
    assert bench.events() == []


def test_late_offer_is_acknowledged_by_the_user_with_the_answer() -> None:
    bench = Bench()
    usage, invite = calling(bench, body=b"")
    bench.receive(make_answer(invite, 200, body=SDP))
    bench.receive(make_answer(invite, 200, body=SDP))
    assert isinstance(bench.event(), UsageAnswered)
    assert bench.sent() == []
    usage.ack(SDP + b"a=x\r\n", bench.now)
    ack = bench.one()
    assert ack.endswith(SDP + b"a=x\r\n")
    bench.receive(make_answer(invite, 200, body=SDP))
    assert bench.one() == ack


def test_hang_up_while_a_late_offer_waits_acknowledges_and_ends() -> None:
    bench = Bench()
    usage, invite = calling(bench, body=b"")
    bench.receive(make_answer(invite, 200, body=SDP))
    bench.events()
    usage.end(bench.now)
    assert bench.starts() == [b"ACK", b"BYE"]
    bench.run_out()


def test_rejected_call_reports_status_and_is_over() -> None:
    bench = Bench()
    usage, invite = calling(bench)
    bench.receive(make_answer(invite, 486))
    event = bench.event()
    assert isinstance(event, UsageRejected)
    assert (event.usage, event.status, event.reason) == (usage, 486, b"Reason")
    assert bench.starts() == [b"ACK"]
    del event
    bench.run_out()


def test_unanswered_call_reports_408() -> None:
    bench = Bench()
    calling(bench)
    bench.pass_time(32)
    event = bench.event()
    assert isinstance(event, UsageRejected)
    assert (event.status, event.response) == (408, None)
    del event
    bench.run_out()


def test_cancel_waits_for_a_provisional() -> None:
    bench = Bench()
    usage, invite = calling(bench)
    usage.end(bench.now, reason_header=b'SIP;cause=200;text="Call completed elsewhere"')
    assert bench.sent() == []
    bench.receive(make_answer(invite, 100, tag=b""))
    cancel = bench.one()
    assert cancel.startswith(b"CANCEL sip:b@192.0.2.9 SIP/2.0\r\n")
    for name in (b"Via", b"To", b"From", b"Call-ID"):
        assert header(cancel, name) == header(invite, name)
    assert header(cancel, b"CSeq") == b"1 CANCEL"
    assert header(cancel, b"Reason").startswith(b"SIP;cause=200")
    bench.receive(make_answer(invite, 180))
    assert bench.sent() == []
    bench.receive(make_answer(cancel, 200))
    bench.receive(make_answer(invite, 487))
    assert bench.starts() == [b"ACK"]
    assert bench.events() == []
    bench.run_out()


def test_answer_that_crosses_the_cancel_gets_ack_and_bye() -> None:
    bench = Bench()
    usage, invite = calling(bench)
    bench.receive(make_answer(invite, 180))
    usage.end(bench.now)
    bench.events()
    bench.receive(make_answer(invite, 200, body=SDP))
    assert bench.starts() == [b"CANCEL", b"ACK", b"BYE"]
    assert bench.events() == []
    bench.run_out()


def test_cancelled_call_without_a_final_answer_is_forgotten_after_32_s() -> None:
    bench = Bench()
    usage, invite = calling(bench)
    bench.receive(make_answer(invite, 180))
    usage.end(bench.now)
    cancel = bench.sent()[-1]
    bench.receive(make_answer(cancel, 200))
    bench.pass_time(31.9)
    assert bench.layer.counts()["usages"] == 1
    bench.pass_time(0.1)
    assert bench.layer.counts()["usages"] == 0
    bench.run_out()


def test_second_2xx_of_a_fork_gets_ack_and_bye() -> None:
    bench = Bench()
    _, invite = connected(bench)
    bench.receive(make_answer(invite, 200, tag=b"fork", extra=b"Contact: <sip:other@192.0.2.9:5070>\r\n", body=SDP))
    ack, bye = bench.sent()
    assert ack.startswith(b"ACK sip:other@192.0.2.9:5070 ")
    assert bye.startswith(b"BYE sip:other@192.0.2.9:5070 ")
    assert header(bye, b"To").endswith(b";tag=fork")
    assert bench.events() == []
    bench.receive(make_answer(invite, 200, tag=b"fork", body=SDP))
    assert bench.one() == ack


def test_called_peer_hangs_up() -> None:
    bench = Bench()
    usage, invite = connected(bench)
    bench.receive(from_called(b"BYE", invite, 1))
    assert bench.starts() == [b"200"]
    event = bench.event()
    assert isinstance(event, UsageEnded)
    assert event.cause is EndCause.BYE
    del event, usage
    bench.run_out()


def test_called_peer_hangs_up_while_ringing_then_rejects() -> None:
    bench = Bench()
    _, invite = calling(bench)
    bench.receive(make_answer(invite, 180))
    bench.events()
    bench.receive(from_called(b"BYE", invite, 1))
    assert bench.starts() == [b"200"]
    assert isinstance(bench.event(), UsageEnded)
    bench.receive(make_answer(invite, 487))
    assert bench.starts() == [b"ACK"]
    assert bench.events() == []
    bench.run_out()


def test_route_and_max_forwards_of_the_user_are_repeated_in_cancel() -> None:
    bench = Bench()
    usage = bench.layer.invite(
        uri=b"sip:b@x",
        flow=bench.flow,
        from_=b"<sip:a@a>",
        to=b"<sip:b@b>",
        body=SDP,
        headers=((b"route", b"<sip:192.0.2.9;lr>"), (b"max-forwards", b"41"), (b"subject", b"x")),
        call_id=b"mine",
        now=0.0,
    )
    invite = bench.one()
    assert header(invite, b"Max-Forwards") == b"41"
    assert header(invite, b"Call-ID") == b"mine"
    assert header(invite, b"Subject") == b"x"
    bench.receive(make_answer(invite, 180))
    usage.end(0.0)
    cancel = bench.one()
    assert header(cancel, b"Route") == header(invite, b"Route") == b"<sip:192.0.2.9;lr>"


def test_line_breaks_in_a_header_of_the_user_cannot_add_headers() -> None:
    bench = Bench()
    bench.layer.invite(
        uri=b"sip:b@x",
        flow=bench.flow,
        from_=b"<sip:a@a>",
        to=b"<sip:b@b>",
        body=SDP,
        headers=((b"subject", b"x\r\nX-Evil: 1"),),
        now=0.0,
    )
    assert b"\r\nX-Evil" not in bench.one()


def test_acts_that_come_too_late_are_dropped() -> None:
    bench = Bench()
    usage = invited(bench)
    bench.receive(make_request(b"CANCEL"))
    bench.sent()
    usage.progress(180, now=0.0)
    usage.answer(SDP, 0.0)
    usage.reject(486, now=0.0)
    usage.ack(SDP, 0.0)
    usage.reinvite(SDP, 0.0)
    usage.end(0.0)
    assert bench.sent() == []
