"""The ladder: legs side by side as a sequence diagram."""

from __future__ import annotations

import msgspec
import pytest

from common.contracts.calls import CallView, LadderStep, LegView
from tasctl.ladder import LANE_WIDTH, TIME_WIDTH, draw, label
from tasctl.text import width

UID = "tas-1-19ab-00"


def leg(number: int, peer: str = "127.0.0.1:5070") -> LegView:
    return LegView(f"{UID}.{number}", f"{number}@h", peer, "in", "confirmed", "media-1")


def call(*legs: LegView, **changes: str) -> CallView:
    view = CallView(UID, "tas-1", "talking", "0700123", "8000", "support", "1001", 1.0, list(legs))
    return msgspec.structs.replace(view, **changes)


def step(number: int, sent: bool, line: str, cseq: str = "1 INVITE", at_s: float = 0.0) -> LadderStep:
    return LadderStep(at_s, f"{UID}.{number}", sent, "127.0.0.1:5070", line, cseq)


INVITE = "INVITE sip:8000@127.0.0.1 SIP/2.0"
RINGING = "SIP/2.0 180 Ringing"


def test_two_legs_stand_on_either_side_of_the_tas() -> None:
    steps = [
        step(1, False, INVITE),
        step(1, True, "SIP/2.0 100 Trying", at_s=0.001),
        step(2, True, "INVITE sip:1001@127.0.0.1:25060 SIP/2.0", at_s=0.0125),
        step(2, False, RINGING, at_s=0.5),
        step(2, False, "BYE sip:0700123@127.0.0.1 SIP/2.0", "2 BYE", at_s=12.0),
        step(1, True, "BYE sip:0700123@127.0.0.2 SIP/2.0", "1 BYE", at_s=12.001),
        step(1, False, "SIP/2.0 200 OK", "1 BYE", at_s=12.1),
    ]
    assert draw(call(leg(1, "127.0.0.2:5080"), leg(2)), steps).splitlines() == [
        "          0700123 (1)                   tas-1                         1001 (2)",
        "          127.0.0.2:5080                                              127.0.0.1:5070",
        "          │                             │                             │",
        "   0.000  │──────── INVITE 8000 ───────►│                             │",
        "   0.001  │◄─────── 100 Trying ─────────│                             │",
        "   0.013  │                             │──────── INVITE 1001 ───────►│",
        "   0.500  │                             │◄─────── 180 Ringing ────────│",
        "  12.000  │                             │◄─────────── BYE ────────────│",
        "  12.001  │◄─────────── BYE ────────────│                             │",
        "  12.100  │─────── 200 OK (BYE) ───────►│                             │",
        "",
        "state: talking",
    ]


def test_retransmission_is_marked_and_a_new_request_of_the_same_kind_is_not() -> None:
    steps = [step(1, False, INVITE), step(1, False, INVITE), step(1, False, INVITE, "2 INVITE"), step(2, False, INVITE)]
    lines = draw(call(leg(1), leg(2)), steps).splitlines()[3:7]
    assert ["(again)" in line for line in lines] == [False, True, False, False]


def test_mark_of_a_retransmission_survives_a_long_reason() -> None:
    long = step(1, True, "SIP/2.0 481 Call/Transaction Does Not Exist At All", "1 BYE")
    line = draw(call(leg(1)), [long, long]).splitlines()[4]
    assert "… (again) " in line
    assert width(line) == TIME_WIDTH + LANE_WIDTH + 1


def test_further_legs_cross_the_lifelines_between() -> None:
    legs = [leg(number) for number in range(1, 6)]
    lines = draw(call(*legs), [step(5, True, INVITE), step(5, False, RINGING)]).splitlines()
    columns = [TIME_WIDTH + lane * LANE_WIDTH for lane in range(6)]
    assert [index for index, character in enumerate(lines[2]) if character == "│"] == columns
    for line in lines[3:5]:
        assert [line[column] for column in columns[:2]] == ["│", "│"]
        assert line[columns[5]] == "│"
        assert {line[column] for column in columns[2:5]} <= {"┼", *"INVITE 8000 180 Ringing"}
    assert lines[3][columns[5] - 1] == "►"
    assert lines[4][columns[1] + 1] == "◄"


@pytest.mark.parametrize("caller", ["+46 8#*" * 20, "北京" * 40, "e\u0301" * 60, "\x1b[2J\n\r\x07"])
def test_every_lifeline_stands_in_its_column_whatever_the_names(caller: str) -> None:
    steps = [step(1, False, f"INVITE sip:{caller}@h SIP/2.0"), step(2, True, f"SIP/2.0 200 {caller}")]
    lines = draw(call(leg(1, "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535"), leg(2), caller=caller), steps)
    shown = lines.splitlines()
    assert len(shown) == 7
    assert all(line.isprintable() for line in shown)
    assert width(shown[0].partition("tas-1")[0]) == TIME_WIDTH + LANE_WIDTH
    assert [width(line) for line in shown[2:5]] == [TIME_WIDTH + 2 * LANE_WIDTH + 1] * 3


@pytest.mark.parametrize(
    ("line", "cseq", "shown"),
    [
        (INVITE, "1 INVITE", "INVITE 8000"),
        ("INVITE sip:127.0.0.1 SIP/2.0", "1 INVITE", "INVITE"),
        ("INVITE tel:+4681 SIP/2.0", "1 INVITE", "INVITE"),
        ("ACK sip:8000@127.0.0.1 SIP/2.0", "1 ACK", "ACK"),
        ("SIP/2.0 200 OK", "1 INVITE", "200 OK"),
        ("SIP/2.0 200 OK", "2 BYE", "200 OK (BYE)"),
        ("SIP/2.0 486", "1 INVITE", "486"),
        ("SIP/2.0 486 Busy Here", "", "486 Busy Here"),
        ("", "", ""),
        ("INVITE", "", "INVITE"),
    ],
)
def test_arrow_says_method_and_number_or_status_and_whose(line: str, cseq: str, shown: str) -> None:
    assert label(step(1, True, line, cseq)) == shown


def test_call_without_legs_or_messages_still_has_its_end() -> None:
    assert draw(call(outcome="rejected, unknown_number"), []).splitlines()[-1] == "outcome: rejected, unknown_number"
    assert draw(call(leg(1)), [step(9, True, INVITE)]).splitlines()[-2:] == ["", "state: talking"]
