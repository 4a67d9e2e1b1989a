"""Reading a session description: one pass, strict about what is used, silent about the rest (RFC 8866)."""

from __future__ import annotations

from typing import Final

from tas.errors import SdpError
from tas.sdp.model import Direction, Media, SessionDescription

MAX_SDP_BYTES: Final = 16 * 1024
MAX_MEDIA_LINES: Final = 16
MAX_FORMATS: Final = 64
PTIMES_MS: Final = (10, 20, 30, 40, 50, 60)
"""What media servers can send; another wish (RFC 8866 6.4: it is no more than that) is not heard."""
MAX_NUMBER_DIGITS: Final = 10

_DIRECTIONS: Final = {direction.value.encode(): direction for direction in Direction}


def parse_sdp(body: bytes) -> SessionDescription:
    """Parse; a missing final CRLF and bare LF are tolerated. Raises SdpError(400) naming the line."""
    if len(body) > MAX_SDP_BYTES:
        raise SdpError(400, f"SDP longer than {MAX_SDP_BYTES} bytes")
    if not body.startswith(b"v=0"):
        raise SdpError(400, "SDP does not begin with v=0")
    sdp = SessionDescription()
    media: Media | None = None
    for line in body.splitlines():
        kind, value = line[:2], line[2:]
        if kind == b"a=":
            _attribute(sdp, media, value)
        elif kind == b"m=":
            media = _media_line(sdp, value)
        elif kind == b"c=":
            address = _connection(value)
            if media is None:
                sdp.address = address
            else:
                media.address = address
        elif kind == b"o=":
            sdp.origin_version = value.rpartition(b" IN ")[0]
        elif line and line[1:2] != b"=":
            raise SdpError(400, f"SDP line without '=': {shown(line[:40])}")
    for media in sdp.media:
        if not media.address:
            media.address = sdp.address
    return sdp


def shown(raw: bytes) -> str:
    """What a peer wrote, fit for a reason phrase."""
    return "".join(char if char.isprintable() else "?" for char in raw.decode("ascii", "replace"))


def number(word: bytes) -> int | None:
    """A decimal number of a length that int() takes; None for anything else."""
    return int(word) if word.isdigit() and len(word) <= MAX_NUMBER_DIGITS else None


def _media_line(sdp: SessionDescription, value: bytes) -> Media:
    words = value.split()
    if len(words) < 4:
        raise SdpError(400, "SDP m= line is incomplete")
    port = number(words[1].partition(b"/")[0])
    if port is None or port > 65535:
        raise SdpError(400, "SDP m= line has no valid port")
    if len(sdp.media) >= MAX_MEDIA_LINES or len(words) - 3 > MAX_FORMATS:
        raise SdpError(400, f"SDP has more than {MAX_MEDIA_LINES} m= lines or {MAX_FORMATS} formats")
    media = Media(words[0], port, words[2], words[3:], sdp.direction)
    sdp.media.append(media)
    return media


def _connection(value: bytes) -> str:
    words = value.split()
    if len(words) != 3 or words[0] != b"IN":
        raise SdpError(400, "SDP c= line is malformed")
    return words[2].partition(b"/")[0].decode("ascii", "replace")


def _attribute(sdp: SessionDescription, media: Media | None, value: bytes) -> None:
    direction = _DIRECTIONS.get(value.rstrip())
    if direction is not None:
        if media is None:
            sdp.direction = direction
        else:
            media.direction = direction
        return
    if media is None:
        return
    if value.startswith(b"rtpmap:"):
        payload_type, _, encoding = value[7:].strip().partition(b" ")
        media.rtpmap[payload_type] = encoding.strip().lower()
    elif value.startswith(b"ptime:"):
        ptime = number(value[6:].strip())
        if ptime in PTIMES_MS:
            media.ptime_ms = ptime
