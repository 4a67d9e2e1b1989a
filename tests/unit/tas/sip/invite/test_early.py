"""Reliable provisionals, PRACK (RFC 3262) and offers before the answer (RFC 3311), both sides of the call."""

from __future__ import annotations

import pytest

from tas.sip.events import (
    EndCause,
    InviteReceived,
    UsageAnswered,
    UsageConfirmed,
    UsageEnded,
    UsageProgress,
    UsageReoffered,
)
from tas.sip.invite.provisionals import MAX_WAITING
from tas.sip.invite.terms import ACCEPT_ONLY, PeerPolicy
from tas.sip.invite.usage import InviteUsage
from tas.sip.message import Request, Response
from tests.unit.tas.sip.invite.test_usage import from_called, inside
from tests.unit.tas.sip.support import SDP, Bench, header, make_answer, make_request, start_line

MINE = SDP.replace(b"4000", b"6000")
MOVED = SDP.replace(b"4000", b"4444")
REQUIRE = b"Require: 100rel\r\n"
SUPPORTED = b"Supported: timer, 100rel\r\n"


def invited(bench: Bench, extra: bytes = REQUIRE, policy: PeerPolicy = ACCEPT_ONLY, body: bytes = SDP) -> InviteUsage:
    """A received call, not answered yet."""
    bench.receive(make_request(body=body, extra=extra))
    event = bench.event()
    assert isinstance(event, InviteReceived)
    assert event.usage.settle(event.request, policy) is None
    bench.sent()
    return event.usage


def prack(provisional: bytes, cseq: int = 2, body: bytes = b"", rack: bytes = b"") -> Request:
    """The caller's PRACK."""
    rack = rack or header(provisional, b"RSeq") + b" 1 INVITE"
    return inside(b"PRACK", header(provisional, b"To"), cseq, body, b"RAck: %b\r\n" % rack)


def calling(bench: Bench, policy: PeerPolicy = ACCEPT_ONLY, body: bytes = MINE) -> tuple[InviteUsage, bytes]:
    """A call of ours and its INVITE."""
    usage = bench.layer.invite(
        uri=b"sip:b@192.0.2.9", flow=bench.flow, from_=b"<sip:a@x>", to=b"<sip:b@x>", body=body, policy=policy,
        now=bench.now,
    )  # fmt: skip
    return usage, bench.one()


def reliable(invite: bytes, rseq: int, status: int = 183, body: bytes = b"", tag: bytes = b"peer") -> Response:
    """A reliable provisional of the called peer."""
    return make_answer(invite, status, tag=tag, extra=REQUIRE + b"RSeq: %d\r\n" % rseq, body=body)


# Calls we receive.


def test_provisional_is_reliable_when_the_caller_requires_it_and_repeated_until_its_prack() -> None:
    bench = Bench()
    usage = invited(bench)
    usage.progress(180, now=bench.now)
    ringing = bench.one()
    assert header(ringing, b"Require") == b"100rel"
    assert int(header(ringing, b"RSeq")) > 0
    assert header(ringing, b"Contact") != b""
    times: list[float] = []
    for _ in range(4):
        at = bench.layer.next_timeout()
        assert at is not None
        bench.pass_time(at - bench.now)
        assert bench.one() == ringing
        times.append(bench.now)
    assert times == [0.5, 1.5, 3.5, 7.5]
    bench.receive(prack(ringing))
    assert start_line(bench.one()) == b"200"
    bench.pass_time(100.0)
    assert bench.sent() == []
    assert usage.state == "invited"


def test_provisional_without_prack_in_32_s_ends_the_call_with_504() -> None:
    bench = Bench()
    usage = invited(bench)
    usage.progress(180, now=bench.now)
    bench.pass_time(31.99)
    bench.sent()
    assert bench.events() == []
    bench.pass_time(0.01)
    assert bench.starts() == [b"504"]
    event = bench.event()
    assert isinstance(event, UsageEnded)
    assert event.cause is EndCause.NO_ACK
    del usage, event
    bench.run_out()


def test_no_second_reliable_provisional_before_the_first_is_acknowledged() -> None:
    bench = Bench()
    usage = invited(bench)
    usage.progress(180, now=bench.now)
    usage.progress(183, None, MINE, now=bench.now)
    first = bench.one()
    bench.receive(prack(first))
    ok, second = bench.sent()
    assert (start_line(ok), start_line(second)) == (b"200", b"183")
    assert int(header(second, b"RSeq")) == int(header(first, b"RSeq")) + 1
    assert second.endswith(MINE)


def test_waiting_provisionals_are_bounded() -> None:
    bench = Bench()
    usage = invited(bench)
    for _ in range(MAX_WAITING + 5):
        usage.progress(180, now=bench.now)
    count = 0
    while provisionals := [data for data in bench.sent() if start_line(data) == b"180"]:
        count += 1
        bench.receive(prack(provisionals[-1], 1 + count))
    assert count == MAX_WAITING + 1


def test_2xx_waits_for_the_prack_of_an_answer_in_a_183() -> None:
    bench = Bench()
    usage = invited(bench)
    usage.progress(183, None, MINE, now=bench.now)
    early = bench.one()
    usage.answer(MINE, bench.now)
    assert bench.sent() == []
    bench.receive(prack(early))
    assert bench.starts() == [b"200", b"200"]
    bench.receive(inside(b"ACK", header(early, b"To"), 1))
    assert isinstance(bench.event(), UsageConfirmed)


def test_2xx_does_not_wait_for_the_prack_of_a_plain_180_which_is_still_answered() -> None:
    bench = Bench()
    usage = invited(bench)
    usage.progress(180, now=bench.now)
    ringing = bench.one()
    usage.answer(MINE, bench.now)
    assert bench.starts() == [b"200"]
    bench.receive(prack(ringing))
    assert bench.starts() == [b"200"]
    bench.receive(inside(b"ACK", header(ringing, b"To"), 1))
    bench.pass_time(40.0)
    assert bench.sent() == []


@pytest.mark.parametrize("rack", [b"1 1 INVITE", b"x 1 INVITE", b"1 INVITE", b"{rseq} 2 INVITE", b"{rseq} 1 BYE"])
def test_prack_for_nothing_of_ours_gets_481(rack: bytes) -> None:
    bench = Bench()
    usage = invited(bench)
    usage.progress(180, now=bench.now)
    ringing = bench.one()
    bench.receive(prack(ringing, rack=rack.replace(b"{rseq}", header(ringing, b"RSeq"))))
    assert start_line(bench.one()) == b"481"
    bench.pass_time(0.5)
    assert bench.one() == ringing
    bench.receive(prack(ringing, 3))
    bench.receive(prack(ringing, 4))
    assert bench.starts() == [b"200", b"481"]


def test_cancel_and_hang_up_stop_the_repetition() -> None:
    for end in ("cancel", "end"):
        bench = Bench()
        usage = invited(bench)
        usage.progress(183, None, MINE, now=bench.now)
        usage.answer(MINE, bench.now)
        bench.sent()
        if end == "cancel":
            bench.receive(make_request(b"CANCEL"))
            assert bench.starts() == [b"200", b"487"]
        else:
            usage.end(bench.now, status=480)
            assert bench.starts() == [b"480"]
        bench.events()
        del usage
        bench.run_out()


@pytest.mark.parametrize(
    ("extra", "policy", "expected"),
    [
        (SUPPORTED, ACCEPT_ONLY, b""),
        (SUPPORTED, PeerPolicy(reliable="prefer"), b"100rel"),
        (b"", PeerPolicy(reliable="prefer"), b""),
        (SUPPORTED, PeerPolicy(reliable="off"), b""),
        (REQUIRE, PeerPolicy(reliable="prefer"), b"100rel"),
    ],
)
def test_policy_says_who_gets_reliable_provisionals(extra: bytes, policy: PeerPolicy, expected: bytes) -> None:
    bench = Bench()
    invited(bench, extra, policy).progress(180, now=bench.now)
    assert header(bench.one(), b"Require") == expected


def test_call_that_requires_what_the_policy_forbids_is_refused_with_420() -> None:
    bench = Bench()
    bench.receive(make_request(body=SDP, extra=REQUIRE))
    event = bench.event()
    assert isinstance(event, InviteReceived)
    assert event.usage.settle(event.request, PeerPolicy(reliable="off")) == (420, [(b"unsupported", b"100rel")])
    bench.sent()
    _, invite = calling(bench, PeerPolicy(reliable="off"))
    assert header(invite, b"Supported") == b"timer"


def test_caller_without_an_offer_that_requires_100rel_gets_no_provisional() -> None:
    bench = Bench()
    usage = invited(bench, body=b"")
    usage.progress(180, now=bench.now)
    assert bench.sent() == []
    usage.answer(MINE, bench.now)
    assert start_line(bench.one()) == b"200"


# Offers before the answer.


def test_update_before_the_answer_is_refused_with_500_until_the_first_answer_is_acknowledged() -> None:
    bench = Bench()
    usage = invited(bench)
    usage.progress(183, None, MINE, now=bench.now)
    early = bench.one()
    to = header(early, b"To")
    bench.receive(inside(b"UPDATE", to, 2, MOVED))
    refusal = bench.one()
    assert start_line(refusal) == b"500"
    assert 0 <= int(header(refusal, b"Retry-After")) <= 10
    bench.receive(prack(early, 3))
    bench.sent()
    bench.receive(inside(b"UPDATE", to, 4, MOVED))
    event = bench.event()
    assert isinstance(event, UsageReoffered)
    assert event.body == MOVED
    usage.answer(MINE, bench.now)
    answer = bench.one()
    assert header(answer, b"CSeq") == b"4 UPDATE"
    assert answer.endswith(MINE)
    assert usage.state == "invited"
    bench.receive(inside(b"UPDATE", to, 5, SDP))
    bench.events()
    usage.reject(488, now=bench.now)
    assert header(bench.one(), b"CSeq") == b"5 UPDATE"
    usage.answer(MINE, bench.now)
    assert header(bench.one(), b"CSeq") == b"1 INVITE"


def test_reinvite_before_the_answer_gets_500() -> None:
    bench = Bench()
    usage = invited(bench)
    usage.progress(180, now=bench.now)
    to = header(bench.one(), b"To")
    bench.receive(inside(b"INVITE", to, 2, MOVED))
    assert bench.starts() == [b"100", b"500"]


def test_prack_with_an_offer_is_answered_by_the_user() -> None:
    bench = Bench()
    usage = invited(bench)
    usage.progress(183, None, MINE, now=bench.now)
    bench.receive(prack(bench.one(), body=MOVED))
    assert isinstance(bench.event(), UsageReoffered)
    assert bench.sent() == []
    usage.answer(MINE, bench.now)
    answer = bench.one()
    assert header(answer, b"CSeq") == b"2 PRACK"
    assert answer.endswith(MINE)


# Calls we make.


def test_reliable_provisional_is_acknowledged_at_once_and_once() -> None:
    bench = Bench()
    usage, invite = calling(bench)
    assert b"100rel" in header(invite, b"Supported")
    bench.receive(reliable(invite, 700, 180))
    ack = bench.one()
    assert start_line(ack) == b"PRACK"
    assert header(ack, b"RAck") == b"700 1 INVITE"
    assert header(ack, b"CSeq") == b"2 PRACK"
    assert ack.startswith(b"PRACK sip:b@192.0.2.9:5060 ")
    assert isinstance(bench.event(), UsageProgress)
    bench.receive(make_answer(ack, 200))
    bench.receive(reliable(invite, 700, 180))
    assert bench.sent() == []
    assert bench.events() == []
    bench.receive(make_answer(invite, 200, body=SDP))
    assert isinstance(bench.event(), UsageAnswered)
    assert header(bench.one(), b"CSeq") == b"1 ACK"
    usage.end(bench.now)
    assert header(bench.one(), b"CSeq") == b"3 BYE"


def test_provisionals_out_of_order_are_dropped() -> None:
    bench = Bench()
    _, invite = calling(bench)
    bench.receive(reliable(invite, 10, 180))
    bench.receive(reliable(invite, 12, 183, SDP))
    assert bench.starts() == [b"PRACK"]
    assert [event.status for event in bench.events() if isinstance(event, UsageProgress)] == [180]
    bench.receive(reliable(invite, 11, 183, SDP))
    bench.receive(reliable(invite, 12, 180))
    assert [header(data, b"RAck") for data in bench.sent()] == [b"11 1 INVITE", b"12 1 INVITE"]


def test_every_branch_of_a_fork_has_its_own_order_and_cseq() -> None:
    bench = Bench()
    _, invite = calling(bench)
    bench.receive(reliable(invite, 10, 180, tag=b"one"))
    bench.receive(reliable(invite, 500, 180, tag=b"two"))
    sent = bench.sent()
    assert [header(data, b"RAck") for data in sent] == [b"10 1 INVITE", b"500 1 INVITE"]
    assert [header(data, b"To").rpartition(b"=")[2] for data in sent] == [b"one", b"two"]
    bench.receive(make_answer(invite, 200, tag=b"one", body=SDP))
    bench.receive(make_answer(invite, 200, tag=b"two", body=SDP))
    assert [header(data, b"CSeq") for data in bench.sent()] == [b"1 ACK", b"1 ACK", b"3 BYE"]


def test_answer_in_a_reliable_183_stands_for_a_2xx_without_sdp() -> None:
    bench = Bench()
    _, invite = calling(bench)
    bench.receive(reliable(invite, 1, 183, SDP))
    bench.receive(make_answer(invite, 200))
    progress, answered = bench.events()
    assert isinstance(progress, UsageProgress)
    assert isinstance(answered, UsageAnswered)
    assert answered.body == SDP


def test_offer_in_a_reliable_183_is_answered_in_the_prack() -> None:
    bench = Bench()
    usage, invite = calling(bench, body=b"")
    bench.receive(reliable(invite, 1, 183, SDP))
    assert bench.sent() == []
    assert isinstance(bench.event(), UsageProgress)
    usage.ack(MINE, bench.now)
    ack = bench.one()
    assert start_line(ack) == b"PRACK"
    assert ack.endswith(MINE)
    bench.receive(make_answer(ack, 200))
    bench.receive(make_answer(invite, 200))
    event = bench.event()
    assert isinstance(event, UsageAnswered)
    assert event.body == SDP
    ack = bench.one()
    assert (start_line(ack), header(ack, b"Content-Length")) == (b"ACK", b"0")


def test_update_of_the_called_peer_before_its_answer() -> None:
    bench = Bench()
    usage, invite = calling(bench)
    bench.receive(make_answer(invite, 180))
    bench.events()
    bench.receive(from_called(b"UPDATE", invite, 1, MOVED))
    assert bench.starts() == [b"491"]
    bench.receive(reliable(invite, 1, 183, SDP))
    bench.sent()
    bench.events()
    bench.receive(from_called(b"UPDATE", invite, 2, MOVED))
    assert isinstance(bench.event(), UsageReoffered)
    usage.answer(MINE, bench.now)
    assert header(bench.one(), b"CSeq") == b"2 UPDATE"
    bench.receive(make_answer(invite, 200))
    event = bench.event()
    assert isinstance(event, UsageAnswered)
    assert event.body == MOVED


def test_plain_or_malformed_provisional_is_not_acknowledged() -> None:
    bench = Bench()
    _, invite = calling(bench)
    bench.receive(make_answer(invite, 180, extra=b"RSeq: 5\r\n"))
    bench.receive(make_answer(invite, 180, extra=REQUIRE))
    bench.receive(make_answer(invite, 180, extra=REQUIRE + b"RSeq: x\r\n"))
    assert bench.sent() == []
    assert len(bench.events()) == 3


def test_provisional_while_we_cancel_is_acknowledged() -> None:
    bench = Bench()
    usage, invite = calling(bench)
    usage.end(bench.now)
    bench.receive(reliable(invite, 1, 180))
    assert bench.starts() == [b"PRACK", b"CANCEL"]
    bench.receive(make_answer(invite, 487))
    del usage
    bench.run_out()
