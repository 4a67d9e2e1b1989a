"""Choosing what two sides have in common (RFC 3264): the result is a plain value; rendering comes later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from common.contracts.media import Codec, Remote
from tas.errors import SdpError
from tas.sdp.model import UNSPECIFIED_ADDRESS, Direction, Media, SessionDescription
from tas.sdp.parser import number, shown

DEFAULT_PTIME_MS: Final = 20
MULTICAST_FROM: Final = 224
"""First octet of IPv4 addresses that are no host's: multicast (RFC 5771), reserved, broadcast."""

_OCTETS: Final = frozenset(str(octet) for octet in range(256))
"""No leading zeros: some systems would read them as octal."""
_STATIC: Final = {b"0": Codec.PCMU, b"8": Codec.PCMA}
"""Payload types that need no rtpmap (RFC 3551 table 4)."""
_BY_NAME: Final = {
    b"pcmu/8000": Codec.PCMU,
    b"pcma/8000": Codec.PCMA,
    b"pcmu/8000/1": Codec.PCMU,
    b"pcma/8000/1": Codec.PCMA,
}
_TELEPHONE_EVENT: Final = (b"telephone-event/8000", b"telephone-event/8000/1")


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
    return _first_usable(offer, offer.media, preferred, learn=learn)


def accept_answer(answer: SessionDescription, offered: Sequence[Codec], *, learn: bool = False) -> Negotiated:
    """Read the answer to an offer of ours that had one audio stream; raises SdpError(488)."""
    if not answer.media or answer.media[0].port == 0:
        raise SdpError(488, "the answer rejects the audio stream")
    return _first_usable(answer, answer.media[:1], offered, learn=learn)


def _first_usable(
    sdp: SessionDescription, streams: Sequence[Media], preferred: Sequence[Codec], *, learn: bool
) -> Negotiated:
    problem = "no audio stream"
    for index, media in enumerate(streams):
        if media.kind != b"audio" or media.port == 0:
            continue
        if media.protocol.upper() not in (b"RTP/AVP", b"RTP/AVPF"):
            problem = f"{shown(media.protocol)} is not supported, use RTP/AVP"
            continue
        if not _is_unicast(media.address):
            problem = f"address {shown(media.address.encode()) or '(none)'} is not one IPv4 host's"
            continue
        found = _first_codec(media, preferred)
        if found is None:
            problem = f"no codec in common: offered {_names(media)}; supported {', '.join(preferred)}"
            continue
        return _negotiated(sdp, media, index, *found, learn=learn)
    raise SdpError(488, f"Not Acceptable Here: {problem}")


def _negotiated(
    sdp: SessionDescription, media: Media, index: int, payload_type: int, codec: Codec, *, learn: bool
) -> Negotiated:
    theirs = media.direction
    if media.address == UNSPECIFIED_ADDRESS:
        # RFC 3264 8.4: the old way to ask for hold; there is nowhere to send to.
        theirs = Direction.INACTIVE if theirs in (Direction.RECVONLY, Direction.INACTIVE) else Direction.SENDONLY
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
        taken = _payload_type(payload_type)
        if taken is not None and codec is not None and codec in preferred:
            return taken, codec
    return None


def _dtmf(media: Media) -> int | None:
    for payload_type in media.formats:
        encoding = media.rtpmap.get(payload_type, b"")
        if encoding in _TELEPHONE_EVENT and (taken := _payload_type(payload_type)) is not None:
            return taken
    return None


def _payload_type(word: bytes) -> int | None:
    found = number(word)
    return found if found is not None and found < 128 else None


def _names(media: Media) -> str:
    names = [media.rtpmap.get(payload_type, payload_type) for payload_type in media.formats]
    return shown(b", ".join(names)[:100])


def _is_unicast(address: str) -> bool:
    """An IPv4 address of one host, or 0.0.0.0; RTP to a group or to everybody is never wanted of us."""
    parts = address.split(".")
    if len(parts) != 4 or not all(part in _OCTETS for part in parts):
        return False
    return int(parts[0]) < MULTICAST_FROM
