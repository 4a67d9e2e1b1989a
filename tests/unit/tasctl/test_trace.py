"""Streams of several nodes joined, the lines people read, the capture file."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest

from common.contracts.trace import TraceLine, TraceLost, TraceMessage
from tasctl import pcap
from tasctl.client import ApiError
from tasctl.trace import Capture, LabTrace, human
from tests.unit.tasctl.support import TOKEN, Recorded

MESSAGE = TraceMessage(
    at=1_700_000_000.25, node="tas-1", sent=False, transport="udp", local="127.0.0.1:5060", peer="127.0.0.2:5080",
    call_id="call-1@h", text="INVITE sip:8000@127.0.0.1 SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\nv=0\r\n",
    call_uid="tas-1-19ab-00",
)  # fmt: skip
OK = msgspec.structs.replace(MESSAGE, sent=True, text="SIP/2.0 200 OK\r\ncseq : 1 INVITE\r\n\r\n", call_uid="")


def stream(*lines: TraceLine) -> bytes:
    """What a node sends, and then its end."""
    return b"\n" + msgspec.json.Encoder().encode_lines(list(lines))


def collect(streams: LabTrace, count: int = 0, seconds: float = 10.0) -> list[TraceLine | ApiError]:
    streams.wait_opened()
    return list(streams.lines(count, seconds))


def test_all_nodes_are_read_and_an_ended_stream_is_told() -> None:
    with Recorded().running() as one, Recorded().running() as two:
        one.answers["/v1/trace"] = (200, stream(MESSAGE))
        two.answers["/v1/trace"] = (200, stream(OK, TraceLost("tas-2", 3)))
        found = collect(LabTrace({"tas-1": one.url, "tas-2": two.url}, TOKEN, {}))
    assert [line for line in found if line in (MESSAGE, OK, TraceLost("tas-2", 3))] != []
    assert len(found) == 5
    assert {str(line) for line in found if isinstance(line, ApiError)} == {
        f"{each.url}/v1/trace: the node ended the trace" for each in (one, two)
    }


def test_bound_of_messages_ends_it() -> None:
    with Recorded().running() as node:
        node.answers["/v1/trace"] = (200, stream(TraceLost("tas-1", 1), MESSAGE, OK, OK))
        found = collect(LabTrace({"tas-1": node.url}, TOKEN, {}), count=2)
    assert found == [TraceLost("tas-1", 1), MESSAGE, OK]


def test_bound_of_time_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LabTrace, "_read", lambda self, *_arguments: self._opened.release())
    before = time.monotonic()
    assert collect(LabTrace({"tas-1": "http://127.0.0.1:1"}, TOKEN, {}), seconds=0.01) == []
    assert time.monotonic() - before < 5


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ((403, {"error": "needed: operator"}), "403 needed: operator"),
        ((404, {"error": "GET /v1/trace: Not Found"}), "404"),
        ((200, b"<html>\n"), "not a trace"),
        ((200, b'{"type":"other"}\n'), "not a trace"),
    ],
)
def test_refusal_or_nonsense_is_told(answer: tuple[int, object], text: str) -> None:
    with Recorded().running() as node:
        node.answers["/v1/trace"] = answer
        (failure,) = collect(LabTrace({"tas-1": node.url}, TOKEN, {}))
    assert isinstance(failure, ApiError)
    assert text in str(failure)


def test_filters_go_to_the_node() -> None:
    with Recorded().running() as node:
        node.answers["/v1/trace"] = (200, stream())
        collect(LabTrace({"tas-1": node.url}, TOKEN, {"number": "80*", "call": "", "method": "INVITE,BYE"}))
    assert node.queries == ["number=80%2A&method=INVITE%2CBYE"]


def test_line_has_time_node_direction_peer_start_line_and_call() -> None:
    moment = time.strftime("%H:%M:%S", time.localtime(MESSAGE.at)) + ".250"
    expected = [
        moment,
        "tas-1",
        "<-",
        "udp",
        "127.0.0.2:5080",
        "INVITE",
        "sip:8000@127.0.0.1",
        "SIP/2.0",
        "tas-1-19ab-00",
    ]
    assert human(MESSAGE, full=False).split() == expected


def test_answer_shows_what_it_answers_and_its_call_id_when_the_call_is_unknown() -> None:
    assert human(OK, full=False).endswith("SIP/2.0 200 OK (INVITE)  call-1@h")
    assert "(" not in human(msgspec.structs.replace(OK, text="BYE sip:a SIP/2.0\r\n\r\n"), full=False)
    assert human(msgspec.structs.replace(OK, text="SIP/2.0 400 Bad\r\n\r\n"), full=False).endswith(
        "400 Bad ()  call-1@h"
    )


def test_full_message_stands_under_its_line() -> None:
    lines = human(msgspec.structs.replace(MESSAGE, cut=7), full=True).split("\n")
    assert lines[3:6] == ["INVITE sip:8000@127.0.0.1 SIP/2.0", "CSeq: 1 INVITE", ""]
    assert lines[6:8] == ["v=0", "… and 7 bytes more"]


def test_nothing_in_a_message_is_obeyed_by_the_terminal() -> None:
    bad = msgspec.structs.replace(
        MESSAGE, text="INVITE sip:\x1b[2J SIP/2.0\r\nX: \x07\nY: 1\r\n\r\n", call_uid="\x1b]0;x"
    )
    for full in (False, True):
        assert human(bad, full=full).replace("\n", "").isprintable()


def test_loss_is_a_line_of_its_own() -> None:
    assert human(TraceLost("tas-1", 12), full=False) == "-- tas-1: 12 messages lost: too slow to read them"


def test_capture_file_is_whole_after_each_message(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    with Capture(str(path)) as capture:
        capture.add(MESSAGE)
        assert path.read_bytes() == pcap.file_header() + pcap.record(MESSAGE)


def test_no_capture_file_is_written_without_a_name() -> None:
    with Capture("") as capture:
        capture.add(MESSAGE)
