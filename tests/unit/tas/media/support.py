"""A scripted media server for one link: it decodes what the link sends and answers when the test says so."""

from __future__ import annotations

from typing import Any

import msgspec

from common.contracts.media import Codec, Hello, HelloResult, ServerState, ServerStatus
from common.contracts.rpc import Request, RpcError, encode_error, encode_request, encode_result
from tas.media.link import LinkState, MediaLink, Notification

HELLO = Hello(version=1, node="tas-1", incarnation="a1")


def welcome(incarnation: str = "m1", *, draining: bool = False, used: int = 0, **other: Any) -> HelloResult:
    """The usual answer to hello."""
    values: dict[str, Any] = {
        "version": 1,
        "limit": 500,
        "address": "192.0.2.20",
        "codecs": [Codec.PCMA, Codec.PCMU],
    } | other
    return HelloResult(server="media-1", incarnation=incarnation, used=used, draining=draining, **values)


class Events:
    """LinkEvents that writes down what it hears; it knows the sessions in `known`."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.known: set[str] = set()

    def on_media_notification(self, link: MediaLink, notification: Notification, now: float) -> None:
        self.heard.append(notification)

    def on_media_state(self, link: MediaLink, before: LinkState, now: float) -> None:
        self.heard.append((before, link.state))

    def on_media_lost(self, link: MediaLink, now: float) -> None:
        self.heard.append("lost")

    def knows_session(self, link: MediaLink, session: str) -> bool:
        return session in self.known

    def take(self) -> list[object]:
        heard, self.heard = self.heard, []
        return heard


class Owner:
    """ReplyTo that writes down (tag, result or error code)."""

    def __init__(self) -> None:
        self.replies: list[tuple[str, object]] = []

    def on_media_reply(self, tag: str, result: msgspec.Raw, error: RpcError | None, now: float) -> None:
        self.replies.append((tag, error.code if error is not None else msgspec.json.decode(result)))


class Server:
    """The other end of a link, on a virtual clock."""

    def __init__(self, link: MediaLink) -> None:
        self.link = link
        self.now = 0.0

    def requests(self) -> list[Request]:
        """What the link sent since the last look."""
        return [msgspec.json.decode(line, type=Request) for line in self.link.take_sends().splitlines()]

    def connect(self, answer: HelloResult | RpcError | None = None) -> None:
        """TCP comes up and hello is answered."""
        self.link.connection_made(self.now)
        (request,) = self.requests()
        assert request.method == "hello"
        self.reply(request, welcome() if answer is None else answer)

    def reply(self, request: Request, answer: object) -> None:
        """Answer one request."""
        assert request.id is not None
        data = encode_error(request.id, answer) if isinstance(answer, RpcError) else encode_result(request.id, answer)
        self.link.receive_data(data, self.now)

    def tell(self, method: str, params: object) -> None:
        """Send a notification."""
        self.link.receive_data(encode_request(method, params), self.now)

    def status(self, state: ServerState = ServerState.UP, *, used: int = 0, limit: int = 500) -> None:
        """The heartbeat."""
        self.tell("server.status", ServerStatus("media-1", state, used, limit))

    def pass_time(self, seconds: float) -> None:
        """Let the link's timers fire; a timer that is due for ever would not come to an end."""
        until = self.now + seconds
        for _ in range(10):
            due = self.link.next_timeout()
            if due is None or due > until:
                break
            self.now = max(self.now, due)
            self.link.handle_timeout(self.now)
        else:
            raise AssertionError("the link's timer never rests")
        self.now = until


def make() -> tuple[MediaLink, Server, Events]:
    """A link that was never connected, its server and who hears of it."""
    events = Events()
    link = MediaLink("media-1", HELLO, events)
    return link, Server(link), events


def connected() -> tuple[MediaLink, Server, Events]:
    """The same, up."""
    link, server, events = make()
    server.connect()
    events.take()
    return link, server, events
