"""Writing session descriptions: offers and answers of one audio stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from common.contracts.media import Codec
from tas.sdp.model import Direction, SessionDescription
from tas.sdp.negotiate import Negotiated

DTMF_PAYLOAD_TYPE: Final = 101
"""Ours when we offer; in an answer the offerer's number is kept."""

PAYLOAD_TYPES: Final = {Codec.PCMU: 0, Codec.PCMA: 8}


def _head(address: str, session_id: int, version: int) -> str:
    return f"v=0\r\no=opentas {session_id} {version} IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"


def render_offer(
    *,
    address: str,
    port: int,
    codecs: Sequence[Codec],
    session_id: int,
    version: int = 1,
    direction: Direction = Direction.SENDRECV,
    ptime_ms: int = 20,
) -> bytes:
    """Offer one audio stream with `codecs` in order of preference and telephone-event."""
    types = [PAYLOAD_TYPES[codec] for codec in codecs]
    formats = " ".join(str(number) for number in types)
    maps = "".join(f"a=rtpmap:{number} {codec}/8000\r\n" for number, codec in zip(types, codecs, strict=True))
    return (
        f"{_head(address, session_id, version)}m=audio {port} RTP/AVP {formats} {DTMF_PAYLOAD_TYPE}\r\n{maps}"
        f"a=rtpmap:{DTMF_PAYLOAD_TYPE} telephone-event/8000\r\na=fmtp:{DTMF_PAYLOAD_TYPE} 0-15\r\n"
        f"a=ptime:{ptime_ms}\r\na={direction}\r\n"
    ).encode()


def render_answer(
    offer: SessionDescription,
    negotiated: Negotiated,
    *,
    address: str,
    port: int,
    session_id: int,
    version: int = 1,
    direction: Direction | None = None,
) -> bytes:
    """Answer `offer`: the negotiated stream with our port, every other one rejected by port 0 (RFC 3264 6)."""
    lines = [_head(address, session_id, version)]
    for index, media in enumerate(offer.media):
        if index == negotiated.media_index:
            lines.append(_audio(negotiated, media.protocol, port, direction or negotiated.direction))
        else:
            formats = b" ".join(media.formats).decode("ascii", "replace")
            kind, protocol = media.kind.decode("ascii", "replace"), media.protocol.decode("ascii", "replace")
            lines.append(f"m={kind} 0 {protocol} {formats}\r\n")
    return "".join(lines).encode()


def _audio(negotiated: Negotiated, protocol: bytes, port: int, direction: Direction) -> str:
    remote = negotiated.remote
    dtmf = remote.dtmf_payload_type
    digits = f"a=rtpmap:{dtmf} telephone-event/8000\r\na=fmtp:{dtmf} 0-15\r\n" if dtmf is not None else ""
    return (
        f"m=audio {port} {protocol.decode('ascii')} {remote.payload_type}{f' {dtmf}' if dtmf is not None else ''}\r\n"
        f"a=rtpmap:{remote.payload_type} {remote.codec}/8000\r\n{digits}"
        f"a=ptime:{remote.ptime_ms}\r\na={direction}\r\n"
    )
