"""What a node tells of its messages: those kept of a call, and readers with their filters and bounds."""

from __future__ import annotations

import pytest

from common.contracts.trace import TraceLost, TraceMessage
from tas.admin import traces as module
from tas.admin.traces import TraceFilter, TraceReader, Traces
from tas.admin.view import View
from tas.sip.flow import Flow
from tests.unit.tas.rig import Rig
from tests.unit.tas.sip.support import LOCAL, PEER, make_request

BUSY = b"SIP/2.0 486 Busy Here\r\nCSeq: 1 INVITE\r\n\r\n"


class Shown:
    """A rig and its traces; Unix time is 1,000 s more than its clock."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.view = View(self.rig.node, self.rig.trace, lambda: self.rig.now, self.rig.turn)
        self.traces = Traces(
            "tas-1", self.rig.trace, self.view, local=self.rig.layer.local_address, wall=lambda at: 1000 + at
        )
        self.woken = 0

    def read(self, **wanted: object) -> TraceReader:
        reader = self.traces.open_reader(TraceFilter(**wanted), self._wake)  # type: ignore[arg-type]
        assert reader is not None
        return reader

    def _wake(self) -> None:
        self.woken += 1

    def note(self, data: bytes, call_id: bytes = b"other") -> None:
        """Some message passes that is no call's."""
        self.rig.trace.record(call_id, self.rig.now, False, Flow("udp", PEER, LOCAL), data)


def starts(lines: list[object]) -> list[str]:
    """What the lines begin with: method or status, or how many were lost."""
    found = []
    for line in lines:
        if isinstance(line, TraceLost):
            found.append(f"lost {line.count}")
        else:
            assert isinstance(line, TraceMessage)
            found.append(line.text.removeprefix("SIP/2.0 ").split()[0])
    return found


def test_messages_of_a_call_are_whole_with_their_ends_and_unix_time() -> None:
    shown = Shown()
    call = shown.rig.call()
    messages = shown.traces.messages(call.uid)
    assert messages is not None
    first, trying, answer = messages
    assert (first.sent, trying.sent) == (False, True)
    assert (first.local, first.peer, first.transport) == ("192.0.2.1:5060", "192.0.2.9:5060", "udp")
    assert (first.at, first.call_id, first.call_uid) == (1000 + call.started_at, "call-1", call.uid)
    assert answer.text.startswith("SIP/2.0 200 OK\r\n")
    assert "\r\nm=audio " in answer.text


def test_messages_of_an_unknown_call_are_none() -> None:
    assert Shown().traces.messages("no-such-call") is None


def test_secrets_are_blanked_and_what_is_cut_off_is_counted() -> None:
    shown = Shown()
    secret = b'Authorization: Digest response="secret"\r\n'
    call = shown.rig.call(extra=secret + b"X-Long: " + b"x" * 9000 + b"\r\n")
    messages = shown.traces.messages(call.uid)
    assert messages is not None
    assert "Authorization: (blanked)" in messages[0].text
    assert messages[0].cut > 1000
    reader = shown.read()
    shown.rig.call(call_id=b"call-2", extra=secret)
    assert not any("secret" in line.text for line in reader.take(10) if isinstance(line, TraceMessage))


def test_message_that_is_no_text_comes_as_bytes() -> None:
    shown = Shown()
    reader = shown.read()
    data = b"MESSAGE sip:a SIP/2.0\r\n\r\n\xff\xfe"
    shown.note(data)
    (line,) = reader.take(10)
    assert isinstance(line, TraceMessage)
    assert (line.text, line.data, line.payload) == ("", data, data)


def test_reader_is_woken_for_the_first_message_and_gets_all_with_their_call() -> None:
    shown = Shown()
    reader = shown.read()
    call = shown.rig.call()
    assert shown.woken == 1
    lines = reader.take(10)
    assert starts(lines) == ["INVITE", "100", "200"]
    assert {line.call_uid for line in lines if isinstance(line, TraceMessage)} == {call.uid}
    assert len(reader) == 0


@pytest.mark.parametrize("number", ["8000", "80*", "a", "800?"])
def test_number_filter_takes_caller_and_called(number: str) -> None:
    shown = Shown()
    reader = shown.read(number=number)
    shown.rig.call()
    shown.note(make_request(b"OPTIONS", uri=b"sip:x", to=b"<sip:b@h>", from_=b"<sip:c@h>;tag=1").wire)
    assert starts(reader.take(10)) == ["INVITE", "100", "200"]


def test_number_filter_takes_all_legs_of_a_call() -> None:
    shown = Shown()
    shown.rig.register()
    reader = shown.read(number="8000")
    call = shown.rig.call()
    reader.take(10)
    shown.rig.in_dialog(b"ACK", cseq=1)
    shown.note(BUSY, b"call-1")  # nothing in it names 8000 but the call it belongs to
    assert starts(reader.take(10)) == ["ACK", "486"]
    assert {line.call_uid for line in reader.take(10) if isinstance(line, TraceMessage)} <= {call.uid}


def test_call_filter_takes_uid_or_call_id() -> None:
    shown = Shown()
    first, second = shown.rig.call(), shown.rig.call(call_id=b"call-2")
    by_uid, by_id = shown.read(call=first.uid), shown.read(call="call-2")
    shown.note(BUSY, b"call-1")
    shown.note(BUSY, b"call-2")
    assert [line.call_uid for line in by_uid.take(10) if isinstance(line, TraceMessage)] == [first.uid]
    assert [line.call_uid for line in by_id.take(10) if isinstance(line, TraceMessage)] == [second.uid]


def test_call_that_has_ended_is_still_recognised() -> None:
    shown = Shown()
    call = shown.rig.call()
    shown.view.hang_up(call.uid)
    shown.view.call_ended(shown.rig.ended[-1])
    reader = shown.read(call=call.uid)
    shown.note(BUSY, b"call-1")
    assert starts(reader.take(10)) == ["486"]


def test_method_filter_takes_requests_and_their_answers() -> None:
    shown = Shown()
    reader = shown.read(methods=frozenset((b"BYE", b"INVITE")))
    shown.rig.call()
    shown.note(make_request(b"OPTIONS").wire)
    shown.note(b"no SIP at all")
    shown.note(b"INVITE sip:a SIP/2.0\r\nCSeq: x\r\n\r\n")
    assert starts(reader.take(10)) == ["INVITE", "100", "200"]


def test_slow_reader_is_told_how_many_are_missing_and_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 3)
    shown = Shown()
    reader = shown.read()
    for number in range(5):
        shown.note(b"A%d sip:a SIP/2.0\r\n\r\n" % number)
    assert starts(reader.take(2)) == ["A0", "A1"]
    shown.note(b"A5 sip:a SIP/2.0\r\n\r\n")
    assert starts(reader.take(10)) == ["A2", "lost 2", "A5"]
    assert reader.take(10) == []


def test_bytes_a_reader_is_behind_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING_BYTES", 50)
    shown = Shown()
    reader = shown.read()
    for _ in range(3):
        shown.note(b"A0 sip:a SIP/2.0\r\n\r\n")
    assert starts(reader.take(10)) == ["A0", "A0", "lost 1"]
    shown.note(b"A1 sip:a SIP/2.0\r\n\r\n")
    assert starts(reader.take(10)) == ["A1"]


def test_more_readers_than_the_limit_are_refused_and_one_that_goes_makes_room() -> None:
    shown = Shown()
    readers = [shown.read() for _ in range(module.MAX_READERS)]
    assert shown.traces.open_reader(TraceFilter(), lambda: None) is None
    shown.traces.close_reader(readers[0])
    shown.read()


def test_closed_reader_hears_nothing_and_nothing_is_left() -> None:
    shown = Shown()
    reader = shown.read()
    shown.rig.call()
    reader.take(10)
    shown.traces.close_reader(reader)
    shown.note(BUSY)
    assert (len(reader), shown.traces.readers, shown.rig.trace.taps) == (0, [], 0)


def test_ipv6_ends_have_brackets() -> None:
    shown = Shown()
    reader = shown.read()
    shown.rig.trace.record(b"c", 0.0, True, Flow("tcp", ("2001:db8::9", 5060)), BUSY)
    (line,) = reader.take(1)
    assert isinstance(line, TraceMessage)
    assert line.peer == "[2001:db8::9]:5060"
