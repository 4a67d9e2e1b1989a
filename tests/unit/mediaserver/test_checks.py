"""mediaserver/checks.py"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from common.contracts.ids import SessionId
from common.contracts.media import Play, SendDigits
from common.contracts.rpc import INVALID_PARAMS
from mediaserver.checks import SessionError, check_digits, check_play, check_remote
from tests.unit.mediaserver.support import REMOTE


@pytest.mark.parametrize(
    "changes",
    [
        {"port": 1},
        {"port": 65535},
        {"payload_type": 127},
        {"ptime_ms": 10},
        {"ptime_ms": 60},
        {"dtmf_payload_type": None},
        {"dtmf_payload_type": 0},
        {"address": "0.0.0.0", "send": False},
        {"address": "223.255.255.255"},
    ],
)
def test_remote_at_its_bounds_is_taken(changes: dict[str, Any]) -> None:
    check_remote(msgspec.structs.replace(REMOTE, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"port": 0},
        {"port": 65536},
        {"port": -1},
        {"payload_type": 128},
        {"payload_type": -1},
        {"ptime_ms": 0},
        {"ptime_ms": 25},
        {"ptime_ms": 70},
        {"dtmf_payload_type": 128},
        {"dtmf_payload_type": -1},
        {"dtmf_payload_type": 8},  # the audio's
        {"address": ""},
        {"address": "localhost"},
        {"address": "127.1"},
        {"address": "10.0.0.1 and more"},
        {"address": "10.0.0.1\0"},
        {"address": "::1"},
        {"address": "10.0.0.256"},
        {"address": "0.0.0.0"},
        {"address": "224.0.0.1"},
        {"address": "255.255.255.255"},
    ],
)
def test_remote_beyond_its_bounds_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(SessionError, match=r"^remote") as caught:
        check_remote(msgspec.structs.replace(REMOTE, **changes))
    assert caught.value.error.code == INVALID_PARAMS


@pytest.mark.parametrize("play", [Play(0, ["a"]), Play(2**32 - 1, ["a"] * 16, loop_from=15)])
def test_play_at_its_bounds_is_taken(play: Play) -> None:
    check_play(play)


@pytest.mark.parametrize(
    "play",
    [
        Play(-1, ["a"]),
        Play(2**32, ["a"]),
        Play(1, []),
        Play(1, ["a"] * 17),
        Play(1, ["a"], loop_from=1),
        Play(1, ["a"], loop_from=-1),
    ],
)
def test_play_beyond_its_bounds_is_refused(play: Play) -> None:
    with pytest.raises(SessionError, match="play"):
        check_play(play)


def digits(text: str, duration_ms: int = 100, gap_ms: int = 60) -> SendDigits:
    return SendDigits(SessionId("a"), text, duration_ms, gap_ms)


@pytest.mark.parametrize("request_", [digits("1", 40, 20), digits("0123456789*#abcd"), digits("5" * 64, 5000, 5000)])
def test_digits_at_their_bounds_are_taken(request_: SendDigits) -> None:
    assert check_digits(request_) == request_.digits.upper().encode()


@pytest.mark.parametrize(
    "request_",
    [
        digits(""),
        digits("5" * 65),
        digits("E"),
        digits("1 2"),
        digits("ß"),
        digits("٣"),
        digits("1", 39),
        digits("1", 5001),
        digits("1", 100, 19),
        digits("1", 100, 5001),
    ],
)
def test_digits_beyond_their_bounds_are_refused(request_: SendDigits) -> None:
    with pytest.raises(SessionError):
        check_digits(request_)
