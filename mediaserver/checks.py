"""What a request must be before anything is changed; everything here raises SessionError."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Final

from common.contracts.media import Play, Remote, SendDigits
from common.contracts.rpc import INVALID_PARAMS, RpcError

DTMF_DIGITS: Final = frozenset("0123456789*#ABCD")
MAX_DIGITS: Final = 64
PTIMES_MS: Final = frozenset(range(10, 61, 10))
MAX_FILES: Final = 16
"""The engine's PLAYLIST_MAX."""
MAX_PLAY_ID: Final = 2**32 - 1
FIRST_MULTICAST: Final = IPv4Address("224.0.0.0")
"""From here on an IPv4 address is no host's."""


class SessionError(Exception):
    """A request that is refused; `error` goes into the reply."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.error = RpcError(code, message)


def check_remote(remote: Remote) -> None:
    """Address, port, payload types and ptime."""
    try:
        address = IPv4Address(remote.address)
    except ValueError as error:
        raise SessionError(INVALID_PARAMS, f"remote.address must be an IPv4 address, not {remote.address!r}") from error
    # 0.0.0.0 is this very host for the kernel, and hold for SDP
    if address >= FIRST_MULTICAST or (remote.send and address.is_unspecified):
        raise SessionError(INVALID_PARAMS, f"remote.address must be that of one host, not {remote.address}")
    if not 0 < remote.port < 65536 or not 0 <= remote.payload_type < 128 or remote.ptime_ms not in PTIMES_MS:
        raise SessionError(INVALID_PARAMS, "remote: port 1-65535, payload_type 0-127, ptime_ms 10, 20 … 60")
    dtmf = remote.dtmf_payload_type
    if dtmf is not None and (not 0 <= dtmf < 128 or dtmf == remote.payload_type):
        raise SessionError(INVALID_PARAMS, "remote.dtmf_payload_type must be 0-127 and another than payload_type")


def check_play(play: Play) -> None:
    """The list's length and loop; whether the prompts exist is another matter."""
    if not 0 <= play.play_id <= MAX_PLAY_ID:
        raise SessionError(INVALID_PARAMS, f"play_id must be 0 to {MAX_PLAY_ID}")
    if not 0 < len(play.files) <= MAX_FILES:
        raise SessionError(INVALID_PARAMS, f"play needs 1 to {MAX_FILES} files")
    if play.loop_from is not None and not 0 <= play.loop_from < len(play.files):
        raise SessionError(INVALID_PARAMS, "play.loop_from must be an index into its files")


def check_digits(request: SendDigits) -> bytes:
    """Digits and times; the digits as the engine wants them."""
    digits = request.digits.upper()
    if not 0 < len(digits) <= MAX_DIGITS or not DTMF_DIGITS.issuperset(digits):
        raise SessionError(INVALID_PARAMS, f"digits must be 1 to {MAX_DIGITS} of 0-9 * # A-D")
    if not (40 <= request.duration_ms <= 5000 and 20 <= request.gap_ms <= 5000):
        raise SessionError(INVALID_PARAMS, "duration_ms must be 40 to 5000 and gap_ms 20 to 5000")
    return digits.encode()
