"""The message trace: what it keeps and its two bounds."""

from tas.sip.trace import MAX_CALLS, MAX_MESSAGES, MessageTrace
from tests.unit.tas.sip.support import PEER, make_answer, make_head, make_request, udp


def test_sent_and_received_messages_are_kept_by_call_with_start_line_and_cseq() -> None:
    trace = MessageTrace()
    invite = make_head().render(b"INVITE")
    trace.record(b"c", 1.0, True, PEER, invite)
    trace.record_received(make_answer(invite, 180), udp(), 1.5)
    trace.record_received(make_request(b"BYE", call_id=b"c", cseq=9), udp(), 2.0)
    assert [(each.at, each.sent, each.peer, each.line, each.cseq) for each in trace.get(b"c")] == [
        (1.0, True, PEER, b"INVITE sip:b@192.0.2.9 SIP/2.0", b"1 INVITE"),
        (1.5, False, PEER, b"SIP/2.0 180 Reason", b"1 INVITE"),
        (2.0, False, PEER, b"BYE sip:8000@192.0.2.1 SIP/2.0", b"9 BYE"),
    ]


def test_unknown_call_has_no_messages() -> None:
    assert MessageTrace().get(b"c") == []


def test_message_without_cseq_is_kept_with_an_empty_one() -> None:
    trace = MessageTrace()
    trace.record(b"c", 0.0, True, PEER, b"SIP/2.0 400 Bad\r\n\r\n")
    assert trace.get(b"c")[0].cseq == b""


def test_oldest_call_makes_room_for_one_beyond_the_limit() -> None:
    trace = MessageTrace()
    for number in range(MAX_CALLS + 1):
        trace.record(b"%d" % number, 0.0, True, PEER, b"BYE a SIP/2.0\r\n\r\n")
    assert len(trace) == MAX_CALLS
    assert trace.get(b"0") == []
    assert len(trace.get(b"%d" % MAX_CALLS)) == 1


def test_messages_beyond_the_limit_of_a_call_are_not_kept() -> None:
    trace = MessageTrace()
    for number in range(MAX_MESSAGES + 5):
        trace.record(b"c", float(number), True, PEER, b"BYE a SIP/2.0\r\n\r\n")
    assert [each.at for each in trace.get(b"c")] == [float(number) for number in range(MAX_MESSAGES)]
