"""What a peer may do inside its dialog: offers anew, late answers, digits by INFO."""

from __future__ import annotations

import re

import pytest

from tas.calls import table
from tas.calls.call import Call
from tests.unit.tas.rig import OFFER, Rig, configure
from tests.unit.tas.sip.support import header, start_line


def versions(messages: list[bytes]) -> list[int]:
    """Versions of the o= lines we sent."""
    found = [re.search(rb"o=opentas \d+ (\d+) ", data) for data in messages]
    return [int(match.group(1)) for match in found if match]


def modified(rig: Rig) -> list[dict[str, object]]:
    """`remote` of every session.modify since the last look."""
    return [params["remote"] for method, params in rig.asked() if method == "session.modify" and params["remote"]]


def test_hold_is_answered_and_told_to_the_media_server() -> None:
    rig = Rig()
    rig.call()
    rig.in_dialog(b"ACK", cseq=1)
    assert versions(rig.sent()) == [1]
    rig.asked()
    rig.in_dialog(b"INVITE", body=OFFER + b"a=sendonly\r\n")
    (answer,) = [data for data in rig.sent() if start_line(data) == b"200"]
    assert b"a=recvonly" in answer
    assert versions([answer]) == [2]
    (remote,) = modified(rig)
    assert (remote["send"], remote["receive"]) == (False, True)


def test_refused_offer_changes_neither_media_nor_version() -> None:
    rig = Rig()
    rig.call()
    rig.in_dialog(b"ACK", cseq=1)
    rig.sent()
    rig.asked()
    rig.in_dialog(b"INVITE", body=OFFER.replace(b" 8 101", b" 18"))
    assert b"488" in rig.starts()
    assert modified(rig) == []
    rig.in_dialog(b"ACK", cseq=2)
    rig.in_dialog(b"INVITE", cseq=3, body=OFFER)
    assert versions(rig.sent()) == [2]


def test_late_offer_is_ours_and_its_answer_comes_with_the_ack() -> None:
    rig = Rig()
    call = rig.call(body=b"")
    (ok,) = [data for data in rig.sent() if start_line(data) == b"200"]
    assert b"m=audio 20002 RTP/AVP 8 0 101" in ok
    assert call.caller.negotiated is None
    rig.in_dialog(b"ACK", cseq=1, body=OFFER)
    (remote,) = modified(rig)
    assert (remote["address"], remote["port"], remote["dtmf_payload_type"]) == ("192.0.2.9", 4000, 101)


@pytest.mark.parametrize(
    "body", [b"rubbish", OFFER.replace(b" 8 101", b" 18"), OFFER.replace(b"audio 4000", b"audio 0")]
)
def test_late_offer_with_an_unusable_answer_ends_the_call(body: bytes) -> None:
    rig = Rig()
    rig.call(body=b"")
    rig.sent()
    rig.in_dialog(b"ACK", cseq=1, body=body)
    assert rig.starts() == [b"BYE"]
    assert len(rig.control.calls) == 0


def test_reinvite_without_an_offer_gets_ours_in_the_next_version() -> None:
    rig = Rig()
    rig.call()
    rig.in_dialog(b"ACK", cseq=1)
    rig.sent()
    rig.in_dialog(b"INVITE")
    (ok,) = [data for data in rig.sent() if start_line(data) == b"200"]
    assert versions([ok]) == [2]
    rig.asked()
    rig.in_dialog(b"ACK", cseq=2, body=OFFER.replace(b"4000", b"4100"))
    (remote,) = modified(rig)
    assert remote["port"] == 4100


@pytest.mark.parametrize(
    ("content_type", "body", "digit"),
    [
        (b"application/dtmf-relay", b"Signal=3\r\nDuration=160\r\n", "3"),
        (b"application/dtmf-relay", b"signal = *\n", "*"),
        (b"application/dtmf-relay", b"Signal=d\r\n", "D"),
        (b"application/dtmf-relay", b"Signal=12\r\n", None),
        (b"application/dtmf-relay", b"Signal=!\r\n", None),
        (b"application/dtmf-relay", b"Signal=\r\n", None),
        (b"application/dtmf-relay", b"", None),
        (b"application/media_control+xml", b"Signal=3\r\n", None),
    ],
)
def test_info_is_a_digit_only_when_it_says_one(
    content_type: bytes, body: bytes, digit: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig()
    state = rig.call(b"8100").state
    rig.in_dialog(b"ACK", cseq=1)
    digits: list[object] = []
    row = (state, (lambda _call, digit, _now: digits.append(digit),))
    monkeypatch.setattr(Call, "TABLE", {state: {table.DIGIT: row}})
    rig.in_dialog(b"INFO", body=body, extra=b"Content-Type: %b\r\n" % content_type)
    assert digits == ([] if digit is None else [digit])
    assert rig.starts()[-1] == b"200"


def test_digit_by_info_chooses_from_the_menu() -> None:
    rig = Rig()
    call = rig.call(b"8100")
    rig.in_dialog(b"ACK", cseq=1)
    rig.in_dialog(b"INFO", body=b"Signal=1\r\n", extra=b"Content-Type: application/dtmf-relay\r\n")
    assert (call.state, call.queue) == (table.QUEUED, "support")


@pytest.mark.parametrize(("moved", "expected"), [(b"m=audio 4000", []), (b"m=audio 4444", [4444])])
def test_answer_to_our_session_refresh_may_move_the_peers_media(moved: bytes, expected: list[int]) -> None:
    rig = Rig(configure(session_expires_s=90))
    rig.call()
    rig.in_dialog(b"ACK", cseq=1)
    rig.asked()
    rig.sent()
    rig.pass_time(45.0)
    (refresh,) = [data for data in rig.sent() if start_line(data) == b"INVITE"]
    assert versions([refresh]) == [1]
    rig.answer(refresh, 200, body=OFFER.replace(b"m=audio 4000", moved))
    assert [remote["port"] for remote in modified(rig)] == expected
    rig.pass_time(45.0)
    assert [start_line(data) for data in rig.sent()] == [b"ACK", b"INVITE"]


def test_call_whose_session_is_too_short_for_the_trunk_is_refused_and_counted() -> None:
    rig = Rig(configure(min_se_s=300))
    assert rig.invite(extra=b"Supported: timer\r\nSession-Expires: 200\r\n") is None
    refusal = rig.sent()[-1]
    assert start_line(refusal) == b"422"
    assert header(refusal, b"Min-SE") == b"300"
    rig.rest()
