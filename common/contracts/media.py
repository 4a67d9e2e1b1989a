"""Media control: what a TAS asks of a media server and what it hears back (JSON-RPC 2.0 over TCP, see rpc.py).

The TAS connects, sends `hello` and may pipeline everything else. A session is the media of one leg: one
connection point, one UDP socket. Sessions belong to the link's TAS node, not to the TCP connection: when a link
breaks they stay for ORPHAN_GRACE_S and the same node may go on with them after a new `hello`.
The engine never sees SDP: addresses, payload types and codec names are all there is.
"""

from enum import StrEnum
from typing import Final, Literal

import msgspec

from common.contracts.ids import CallUid, SessionId

VERSION: Final = 1
"""Version of this contract; a `hello` with another one is refused with VERSION_MISMATCH."""

CONNECTION_POINTS_LIMIT: Final = 500
"""A media server refuses the 501st connection point (the product guide's number)."""

STATUS_INTERVAL_S: Final = 0.5
"""A media server sends `server.status` this often on every link; it is the heartbeat."""
SUSPECT_AFTER_S: Final = 1.5
DEAD_AFTER_S: Final = 2.0
ORPHAN_GRACE_S: Final = 30.0


class Codec(StrEnum):
    """Codecs by their SDP encoding names."""

    PCMU = "PCMU"
    PCMA = "PCMA"


class ErrorCode:
    """Application error codes in RpcError.code; the JSON-RPC ones stay for malformed requests."""

    FULL: Final = 1
    """All connection points are taken: try the next media server."""
    DRAINING: Final = 2
    """The server takes no new sessions: try the next media server."""
    NO_SESSION: Final = 3
    SESSION_EXISTS: Final = 4
    NO_FILE: Final = 5
    """A prompt is not in the server's prompt folder; `message` names it."""
    BUSY: Final = 6
    """The engine's command ring is full: try again in a millisecond."""
    VERSION_MISMATCH: Final = 7
    NOT_AUTHENTICATED: Final = 8
    STALE_EPOCH: Final = 9


class Remote(msgspec.Struct, frozen=True):
    """Where a leg's RTP goes and comes from, and how it is coded: the outcome of SDP negotiation."""

    address: str
    """IPv4 address of the SDP c= line."""
    port: int
    codec: Codec
    payload_type: int
    ptime_ms: int = 20
    dtmf_payload_type: int | None = None
    """telephone-event at 8000 Hz (RFC 4733); None: the peer takes no digits."""
    send: bool = True
    """We may send to the peer (SDP direction from our side)."""
    receive: bool = True
    learn: bool = False
    """Learn the real source from 4 in-sequence packets when they do not come from `address`:`port` (NAT)."""


class Play(msgspec.Struct, frozen=True):
    """Play WAV files, by their names in the prompt folder, one after another."""

    play_id: int
    """Chosen by the TAS, unique in the session; comes back in `play.finished`."""
    files: list[str]
    loop_from: int | None = None
    """When the list ends go on with files[loop_from] for ever (welcome, then music: loop_from=1); None: stop."""
    interrupt_on_digit: bool = False
    """Stop at the first digit (barge-in)."""


# --- requests -------------------------------------------------------------------------------------------------


class Hello(msgspec.Struct, frozen=True):
    """`hello`: first request on a link."""

    version: int
    node: str
    incarnation: str
    epoch: int = 0
    token: str = ""


class HelloResult(msgspec.Struct, frozen=True):
    """What the server is, and which of this node's sessions it still has."""

    version: int
    server: str
    incarnation: str
    address: str
    """IPv4 address to put in SDP c= lines."""
    limit: int
    used: int
    draining: bool
    codecs: list[Codec]
    sessions: list[SessionId] = []


class SessionCreate(msgspec.Struct, frozen=True):
    """`session.create`: take a connection point. `remote` and `play` save round trips when already known."""

    session: SessionId
    call_uid: CallUid
    remote: Remote | None = None
    play: Play | None = None
    bridge: SessionId | None = None
    echo: bool = False


class SessionCreated(msgspec.Struct, frozen=True):
    """The port that was taken."""

    session: SessionId
    address: str
    port: int


class SessionModify(msgspec.Struct, frozen=True):
    """`session.modify`: set what is given, leave the rest. Everything in one message happens in one tick.

    `bridge` connects the two sessions (and stops `play`); `unbridge` and `stop_play` undo; order within one
    message: unbridge, stop_play, remote, bridge, echo, play. Result: null.
    """

    session: SessionId
    remote: Remote | None = None
    unbridge: bool = False
    stop_play: bool = False
    bridge: SessionId | None = None
    echo: bool | None = None
    play: Play | None = None


class SendDigits(msgspec.Struct, frozen=True):
    """`session.digits`: send RFC 4733 digits (0-9 * # A-D), one after another."""

    session: SessionId
    digits: str
    duration_ms: int = 100
    gap_ms: int = 60


class SessionDelete(msgspec.Struct, frozen=True):
    """`session.delete`: give connection points back; unknown ones are ignored. Result: DeleteResult."""

    sessions: list[SessionId]


class Statistics(msgspec.Struct, frozen=True):
    """What a connection point counted; times in milliseconds."""

    session: SessionId
    packets_received: int = 0
    packets_sent: int = 0
    packets_lost: int = 0
    packets_late: int = 0
    packets_refused: int = 0
    """Dropped for their source, length, version, SSRC or payload type."""
    jitter_ms: float = 0.0
    concealed_ms: int = 0
    remote_address: str = ""
    remote_port: int = 0


class DeleteResult(msgspec.Struct, frozen=True):
    """Last statistics of the deleted sessions that existed, for the CDR."""

    statistics: list[Statistics] = []


class SessionDump(msgspec.Struct, frozen=True):
    """`session.dump`: everything known about one session. Result: a JSON object for people, not for programs."""

    session: SessionId


class Empty(msgspec.Struct, frozen=True):
    """`server.get_status` (result ServerStatus), `server.drain`, `server.undrain` (result null) take nothing."""


# --- notifications, media server to TAS -------------------------------------------------------------------------


class ServerState(StrEnum):
    """What a media server says of itself."""

    UP = "up"
    DRAINING = "draining"


class ServerStatus(msgspec.Struct, frozen=True):
    """`server.status`: every STATUS_INTERVAL_S and at once when `state` changes."""

    server: str
    state: ServerState
    used: int
    limit: int
    overruns: int = 0
    """Ticks of the engine that began more than 1 ms late, since start."""


class Digit(msgspec.Struct, frozen=True):
    """`session.digit`: one RFC 4733 digit ended (or its first packet came, whichever the server sees as whole)."""

    session: SessionId
    digit: str
    duration_ms: int


class PlayFinished(msgspec.Struct, frozen=True):
    """`play.finished`: never sent for loops that are stopped by request."""

    session: SessionId
    play_id: int
    cause: Literal["end", "digit"]


class FirstPacket(msgspec.Struct, frozen=True):
    """`session.first_packet`: RTP from the verified source has begun."""

    session: SessionId
    address: str
    port: int


class RtpTimeout(msgspec.Struct, frozen=True):
    """`session.rtp_timeout`: nothing came for `silent_s` seconds though the peer should send."""

    session: SessionId
    silent_s: float
