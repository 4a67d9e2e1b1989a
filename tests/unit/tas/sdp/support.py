"""Session descriptions for the tests of this room.

In samples/, sipp and baresip were captured on the wire from the versions in their names; the others are hand-made after
what such equipment sends, with addresses of RFC 5737.
"""

from __future__ import annotations

from pathlib import Path

SAMPLES = Path(__file__).parent / "samples"


def sample(name: str) -> bytes:
    """A sample's bytes as they were on the wire."""
    return (SAMPLES / f"{name}.sdp").read_bytes()


def sdp(*media_lines: bytes, session: bytes = b"", address: bytes = b"192.0.2.9") -> bytes:
    """A description with our own m= sections; `session` is session-level lines with their line ends."""
    head = b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 %b\r\nt=0 0\r\n" % address
    return head + session + b"".join(line + b"\r\n" for line in media_lines)
