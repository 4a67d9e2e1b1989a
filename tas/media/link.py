"""The control link to one media server: JSON-RPC requests out, replies and notifications in. Sans-I/O.

States:  ABSENT -> (hello) -> UP <-> DRAINING;  any -> SUSPECT (connection gone or silent) -> UP again, or DOWN.
A server that comes back within DEAD_AFTER_S with the same incarnation still has its sessions; after that, or with
a new incarnation, they are lost.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final, Protocol

import msgspec

from common.contracts.calls import MediaServerView
from common.contracts.media import (
    DEAD_AFTER_S,
    SUSPECT_AFTER_S,
    VERSION,
    Digit,
    ErrorCode,
    FirstPacket,
    Hello,
    HelloResult,
    PlayFinished,
    RtpTimeout,
    ServerState,
    ServerStatus,
    SessionDelete,
)
from common.contracts.rpc import ProtocolError, RpcError, decode_line, encode_request
from common.service.lines import LineSplitter, LineTooLong

LINK_LOST: Final = 100
"""RpcError.code of requests that were under way when the link broke (ours, never on the wire)."""
OWN_SLEEP_S: Final = 0.5
"""A deadline looked at so late was missed by us: this process was stopped, or its machine."""
RESERVE: Final = 1
"""Connection points left free on a server when a new call is placed: the bridge's second leg must fit too."""

_NOTIFICATIONS: Final[dict[str, Any]] = {
    "session.digit": Digit,
    "play.finished": PlayFinished,
    "session.first_packet": FirstPacket,
    "session.rtp_timeout": RtpTimeout,
}
Notification = Digit | PlayFinished | FirstPacket | RtpTimeout


class LinkState(StrEnum):
    """What the TAS thinks of a media server."""

    ABSENT = "absent"
    UP = "up"
    DRAINING = "draining"
    SUSPECT = "suspect"
    DOWN = "down"


_ALIVE: Final = (LinkState.UP, LinkState.DRAINING)


class ReplyTo(Protocol):
    """Whoever asks a media server for something."""

    def on_media_reply(self, tag: str, result: msgspec.Raw, error: RpcError | None, now: float) -> None:
        """The answer to the request made with `tag`."""


class LinkEvents(Protocol):
    """Who hears of a server's changes and of what happens on it."""

    def on_media_notification(self, link: MediaLink, notification: Notification, now: float) -> None:
        """Something happened in a session."""

    def on_media_state(self, link: MediaLink, before: LinkState, now: float) -> None:
        """`link.state` changed."""

    def on_media_lost(self, link: MediaLink, now: float) -> None:
        """All sessions on this server are gone."""

    def knows_session(self, link: MediaLink, session: str) -> bool:
        """Whether a session found on this server belongs to a call of ours that has it there."""


_Asked = tuple[ReplyTo | None, str, bytes]
"""Whom the answer is for, their tag, and the request itself when it is to be made again."""
NOBODY_ASKED: Final[_Asked] = (None, "", b"")
LAZY: Final = frozenset(("session.delete",))
"""Nobody hears whether it is done now or a moment later."""
GOES_ELSEWHERE: Final = frozenset(("session.create", "hello"))
"""Not made again: a new session goes to the next server."""


class MediaLink:
    """One media server."""

    __slots__ = (
        "_buffer", "_busy", "_events", "_hello", "_last_heard", "_lines", "_lost_at", "_next_id", "_pending", "address",
        "close", "connected", "incarnation", "limit", "name", "placed", "problem", "state", "taken_total", "urgent",
        "used",
    )  # fmt: skip

    def __init__(self, name: str, hello: Hello, events: LinkEvents) -> None:
        self.name = name
        self.state = LinkState.ABSENT
        self.address = ""
        self.incarnation = ""
        self.limit = 0
        self.used = 0
        self.placed = 0
        """Sessions made there since its last status: `used` is up to STATUS_INTERVAL_S old."""
        self.taken_total = 0
        self.connected = False
        self.urgent = False
        """Something is to be sent at once; LAZY requests alone may wait for company."""
        self.close = False
        """The door should drop the connection; `problem` says why."""
        self.problem = ""
        self._hello = hello
        self._events = events
        self._pending: dict[int, _Asked] = {}
        self._busy: dict[int, _Asked] = {}
        """Asked while the engine was busy; asked again as soon as the server is heard of."""
        self._next_id = 0
        self._buffer: list[bytes] = []
        self._lines = LineSplitter()
        self._last_heard = 0.0
        self._lost_at: float | None = None

    @property
    def usable(self) -> bool:
        """Whether new calls may be placed there."""
        return self.state is LinkState.UP and self.used + self.placed + RESERVE < self.limit

    def view(self) -> MediaServerView:
        """For reports and the HTTP API."""
        return MediaServerView(self.name, self.state, self.used, self.limit, self.taken_total)

    def request(self, method: str, params: object, owner: ReplyTo | None, tag: str, now: float) -> None:
        """Send a request; the reply goes to `owner`, at once with LINK_LOST when there is no connection."""
        if not self.connected:
            if owner is not None:
                owner.on_media_reply(tag, msgspec.Raw(b"null"), RpcError(LINK_LOST, f"{self.name} not connected"), now)
            return
        self._next_id += 1
        data = encode_request(method, params, self._next_id)
        self._pending[self._next_id] = (owner, tag, b"" if method in GOES_ELSEWHERE else data)
        self._buffer.append(data)
        self.urgent |= method not in LAZY

    def take_sends(self) -> bytes:
        """Bytes for the connection."""
        if not self._buffer:
            return b""
        data = b"".join(self._buffer)
        self._buffer.clear()
        self.urgent = False
        return data

    @property
    def waiting(self) -> bool:
        """Whether take_sends() would give anything."""
        return bool(self._buffer)

    def connection_made(self, now: float) -> None:
        """TCP is up: introduce ourselves."""
        self.connected = True
        self.close, self.problem = False, ""
        self._lines = LineSplitter()
        self._last_heard = now
        self.request("hello", self._hello, self, "hello", now)

    def connection_lost(self, now: float) -> None:
        """TCP is gone; sessions are given DEAD_AFTER_S to be found again."""
        self.connected = False
        self._buffer.clear()
        if self.state in _ALIVE:
            self._lost_at = now
            self._set_state(LinkState.SUSPECT, now)
        elif self.state is LinkState.SUSPECT and self._lost_at is None:
            self._lost_at = now
        self._fail_pending(now)

    def receive_data(self, data: bytes, now: float) -> None:
        """Bytes from the connection."""
        self._last_heard = now
        if self._busy:
            self._buffer += [asked[2] for asked in self._busy.values()]
            self.urgent = True
            self._pending |= self._busy
            self._busy = {}
        try:
            for line in self._lines.feed(data):
                self._receive_line(line, now)
        except (ProtocolError, LineTooLong, msgspec.ValidationError) as error:
            self._drop(f"speaks another protocol: {error}")

    def _receive_line(self, line: bytes, now: float) -> None:
        message = decode_line(line)
        if message.method is None:
            asked = self._pending.pop(message.id or 0, NOBODY_ASKED)
            owner, tag, data = asked
            if data and message.error is not None and message.error.code == ErrorCode.BUSY:
                self._busy[message.id or 0] = asked
            elif owner is not None:
                owner.on_media_reply(tag, message.result, message.error, now)
        elif message.method == "server.status":
            self._received_status(msgspec.json.decode(message.params, type=ServerStatus), now)
        else:
            type_ = _NOTIFICATIONS.get(message.method)
            if type_ is not None:
                self._events.on_media_notification(self, msgspec.json.decode(message.params, type=type_), now)

    def on_media_reply(self, tag: str, result: msgspec.Raw, error: RpcError | None, now: float) -> None:
        """The answer to our hello."""
        if error is not None:
            if error.code != LINK_LOST:
                self._drop(error.message)
            return
        hello = msgspec.json.decode(result, type=HelloResult)
        if hello.version != VERSION:
            self._drop(f"speaks version {hello.version} of the contract, we speak {VERSION}")
            return
        if self.incarnation and hello.incarnation != self.incarnation:
            self._lose(now)
        self.incarnation = hello.incarnation
        self.address, self.limit, self.used, self.placed = hello.address, hello.limit, hello.used, 0
        self._lost_at = None
        self._set_state(LinkState.DRAINING if hello.draining else LinkState.UP, now)
        self._end_unknown(hello, now)

    def _end_unknown(self, hello: HelloResult, now: float) -> None:
        """Sessions nobody here knows: their calls ended, or a former life of this node made them. They count as ours
        as long as this link lives, so nobody else would end them."""
        unknown = [session for session in hello.sessions if not self._events.knows_session(self, session)]
        if unknown:
            self.request("session.delete", SessionDelete(unknown), None, "", now)

    def _drop(self, problem: str) -> None:
        self.close, self.problem = True, problem

    def _received_status(self, status: ServerStatus, now: float) -> None:
        if not self.incarnation:
            return
        self.used, self.limit, self.placed = status.used, status.limit, 0
        self._set_state(LinkState.DRAINING if status.state is ServerState.DRAINING else LinkState.UP, now)

    def next_timeout(self) -> float | None:
        """When silence becomes suspect or deadly."""
        if self._lost_at is not None:
            return self._lost_at + DEAD_AFTER_S
        if not self.connected or self.close:
            return None
        return self._last_heard + (SUSPECT_AFTER_S if self.state in _ALIVE else DEAD_AFTER_S)

    def handle_timeout(self, now: float) -> None:
        """Act on silence, but not on our own sleep: what the server said meanwhile waits in the socket."""
        due = self.next_timeout()
        if due is None or now < due:
            return
        if now >= due + OWN_SLEEP_S:
            self._last_heard = now
            self._lost_at = None if self._lost_at is None else now
        elif self._lost_at is not None:
            self._lost_at = None
            self._lose(now)
            self._set_state(LinkState.DOWN, now)
        elif now >= self._last_heard + DEAD_AFTER_S:
            self._drop(f"said nothing for {DEAD_AFTER_S:g} s")
            self._fail_pending(now)
            self._lose(now)
            self._set_state(LinkState.DOWN, now)
        else:
            self._set_state(LinkState.SUSPECT, now)

    def _lose(self, now: float) -> None:
        self.incarnation = ""
        self._events.on_media_lost(self, now)

    def _fail_pending(self, now: float) -> None:
        pending, self._pending, self._busy = self._pending | self._busy, {}, {}
        for owner, tag, _ in pending.values():
            if owner is not None:
                owner.on_media_reply(tag, msgspec.Raw(b"null"), RpcError(LINK_LOST, f"{self.name} lost"), now)

    def _set_state(self, state: LinkState, now: float) -> None:
        if state is not self.state:
            before, self.state = self.state, state
            self._events.on_media_state(self, before, now)


FULL_OR_DRAINING: Final = frozenset((ErrorCode.FULL, ErrorCode.DRAINING, ErrorCode.BUSY, LINK_LOST))
"""Errors after which the next server is tried."""
