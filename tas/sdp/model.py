"""A session description as plain values; what we do not use stays as bytes."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

UNSPECIFIED_ADDRESS: Final = "0.0.0.0"
"""RFC 2543's way to put a call on hold."""


class Direction(StrEnum):
    """Direction attributes, seen from the side that wrote them (RFC 3264 5.1)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def mirrored(self) -> Direction:
        """The answer that agrees fully (RFC 3264 6.1)."""
        return _MIRROR[self]


_MIRROR: Final = {
    Direction.SENDRECV: Direction.SENDRECV,
    Direction.SENDONLY: Direction.RECVONLY,
    Direction.RECVONLY: Direction.SENDONLY,
    Direction.INACTIVE: Direction.INACTIVE,
}


class Media:
    """One m= section, its words as received.

    `formats` are payload types in order of preference; `rtpmap` maps them to `name/rate` in lower case.
    """

    __slots__ = ("address", "direction", "formats", "kind", "port", "protocol", "ptime_ms", "rtpmap")

    def __init__(self, kind: bytes, port: int, protocol: bytes, formats: list[bytes], direction: Direction) -> None:
        self.kind = kind
        self.port = port
        self.protocol = protocol
        self.formats = formats
        self.rtpmap: dict[bytes, bytes] = {}
        self.address = ""
        self.direction = direction
        self.ptime_ms = 0


class SessionDescription:
    """What offer/answer needs of an SDP. `origin_version` is the o= line's, to see whether anything changed."""

    __slots__ = ("address", "direction", "media", "origin_version")

    def __init__(self) -> None:
        self.address = ""
        self.direction = Direction.SENDRECV
        self.origin_version = b""
        self.media: list[Media] = []
