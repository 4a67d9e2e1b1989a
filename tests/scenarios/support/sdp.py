"""Session descriptions of the peers."""

from __future__ import annotations


def sdp(
    port: int = 4000,
    *,
    address: str = "127.0.0.2",
    formats: str = "8 0 101",
    direction: str = "",
    version: int = 1,
    extra: str = "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n",
) -> bytes:
    """One audio stream; `direction` is sendonly, inactive … or empty for sendrecv."""
    attribute = f"a={direction}\r\n" if direction else ""
    return (
        f"v=0\r\no=peer 1 {version} IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP {formats}\r\n{extra}{attribute}"
    ).encode()


OFFER = sdp(4000)
ANSWER = sdp(5000, address="127.0.0.1", formats="8 101")
NO_CODEC = sdp(4000, formats="18", extra="a=rtpmap:18 G729/8000\r\n")
MALFORMED = b"this is no session description\r\n"


def media_line(body: bytes) -> str:
    """The m= line of a description."""
    return next(line for line in body.decode().splitlines() if line.startswith("m="))


def media_port(body: bytes) -> int:
    """The RTP port that a description names."""
    return int(media_line(body).split()[1])


def direction_of(body: bytes) -> str:
    """Its direction attribute; sendrecv when it has none."""
    names = {"sendrecv", "sendonly", "recvonly", "inactive"}
    found = [line[2:] for line in body.decode().splitlines() if line[2:] in names]
    return found[0] if found else "sendrecv"
