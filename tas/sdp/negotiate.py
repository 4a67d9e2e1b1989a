"""Choosing what two sides have in common (RFC 3264): the result is a plain value; rendering comes later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from common.contracts.media import Codec, Remote
from tas.errors import SdpError
from tas.sdp.model import UNSPECIFIED_ADDRESS, Direction, Media, SessionDescription

DEFAULT_PTIME_MS: Final = 20

_STATIC: Final = {b"0": Codec.PCMU, b"8": Codec.PCMA}
"""Payload types that need no rtpmap (RFC 3551 table 4)."""
_BY_NAME: Final = {
    b"pcmu/8000": Codec.PCMU,
    b"pcma/8000": Codec.PCMA,
    b"pcmu/8000/1": Codec.PCMU,
    b"pcma/8000/1": Codec.PCMA,
}
_TELEPHONE_EVENT: Final = b"telephone-event/8000"


class Negotiated:
    """One audio stream both sides agree on. `remote` is the peer's end as the media server takes it."""

    __slots__ = ("direction", "media_index", "origin_version", "remote")

    def __init__(self, remote: Remote, media_index: int, direction: Direction, origin_version: bytes) -> None:
        self.remote = remote
        self.media_index = media_index
        self.direction = direction
        """Our direction, as we write it in the answer."""
        self.origin_version = origin_version


def choose(offer: SessionDescription, preferred: Sequence[Codec], *, learn: bool = False) -> Negotiated:
    """Answer an offer: the first usable audio stream, the offerer's first codec that is in `preferred`.

    Raises SdpError(488) that says what was offered and what we have.
    """
    problem = "no audio stream"
    for index, media in enumerate(offer.media):
        if media.kind != b"audio" or media.port == 0:
            continue
        if media.protocol not in (b"RTP/AVP", b"RTP/AVPF"):
            problem = f"{media.protocol.decode('ascii', 'replace')} is not supported, use RTP/AVP"
            continue
        found = _first_codec(media, preferred)
        if found is None:
            problem = f"no codec in common: offered {_names(media)}; supported {', '.join(preferred)}"
            continue
        return _negotiated(offer, media, index, *found, learn=learn)
    raise SdpError(488, f"Not Acceptable Here: {problem}")


def accept_answer(answer: SessionDescription, offered: Sequence[Codec], *, learn: bool = False) -> Negotiated:
    """Read the answer to an offer of ours that had one audio stream; raises SdpError(488)."""
    if not answer.media or answer.media[0].port == 0:
        raise SdpError(488, "the answer rejects the audio stream")
    return choose(answer, offered, learn=learn)


def _negotiated(
    sdp: SessionDescription, media: Media, index: int, payload_type: int, codec: Codec, *, learn: bool
) -> Negotiated:
    theirs = media.direction
    if media.address == UNSPECIFIED_ADDRESS:
        # RFC 3264 8.4: the old way to ask for hold; there is nowhere to send to.
        theirs = Direction.INACTIVE if theirs in (Direction.RECVONLY, Direction.INACTIVE) else Direction.SENDONLY
    if not _is_ipv4(media.address):
        raise SdpError(488, f"Not Acceptable Here: address {media.address or '(none)'} is not IPv4")
    remote = Remote(
        address=media.address,
        port=media.port,
        codec=codec,
        payload_type=payload_type,
        ptime_ms=media.ptime_ms or DEFAULT_PTIME_MS,
        dtmf_payload_type=_dtmf(media),
        send=theirs in (Direction.SENDRECV, Direction.RECVONLY),
        receive=theirs in (Direction.SENDRECV, Direction.SENDONLY),
        learn=learn,
    )
    return Negotiated(remote, index, theirs.mirrored, sdp.origin_version)


def _first_codec(media: Media, preferred: Sequence[Codec]) -> tuple[int, Codec] | None:
    for payload_type in media.formats:
        encoding = media.rtpmap.get(payload_type)
        codec = _STATIC.get(payload_type) if encoding is None else _BY_NAME.get(encoding)
        if codec is not None and codec in preferred and payload_type.isdigit() and int(payload_type) < 128:
            return int(payload_type), codec
    return None


def _dtmf(media: Media) -> int | None:
    for payload_type in media.formats:
        encoding = media.rtpmap.get(payload_type, b"")
        if encoding in (_TELEPHONE_EVENT, b"telephone-event/8000/1") and payload_type.isdigit():
            return int(payload_type)
    return None


def _names(media: Media) -> str:
    names = [media.rtpmap.get(payload_type, payload_type) for payload_type in media.formats]
    return b", ".join(names).decode("ascii", "replace")[:100]


def _is_ipv4(address: str) -> bool:
    parts = address.split(".")
    return len(parts) == 4 and all(part.isdigit() and len(part) <= 3 and int(part) <= 255 for part in parts)
