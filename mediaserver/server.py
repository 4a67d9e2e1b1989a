"""The media server as its control links share it: name, life, state, and who hears of events. Sans-I/O."""

from __future__ import annotations

import hmac
from typing import Final, Protocol

from common.contracts.media import (
    Digit,
    FirstPacket,
    PlayFinished,
    RtpTimeout,
    ServerState,
    ServerStatus,
)
from mediaserver.engine import EVENT_DIGIT, EVENT_FIRST_PACKET, EVENT_PLAY_FINISHED, EVENT_RTP_TIMEOUT
from mediaserver.sessions import Sessions

NAMES: Final = {
    EVENT_DIGIT: "session.digit",
    EVENT_FIRST_PACKET: "session.first_packet",
    EVENT_PLAY_FINISHED: "play.finished",
    EVENT_RTP_TIMEOUT: "session.rtp_timeout",
}


class Listener(Protocol):
    """A control link as the server sees it."""

    node: str

    def notify(self, method: str, params: object) -> None:
        """Tell the TAS something."""

    def send_status(self) -> None:
        """The heartbeat."""


class MediaServer:
    """Shared by all control links."""

    def __init__(self, name: str, incarnation: str, token: str, sessions: Sessions) -> None:
        self.name = name
        self.incarnation = incarnation
        self.sessions = sessions
        self.links: list[Listener] = []
        self.overruns = 0
        self._token = token.encode()
        self._epochs: dict[str, int] = {}

    def token_is(self, token: str) -> bool:
        """Whether a hello's token is ours; without one of our own every peer (of loopback) is believed."""
        return not self._token or hmac.compare_digest(self._token, token.encode())

    def accept_epoch(self, node: str, epoch: int) -> bool:
        """Remember a node's epoch; False for one lower than seen."""
        if epoch < self._epochs.get(node, 0):
            return False
        self._epochs[node] = epoch
        return True

    def status(self) -> ServerStatus:
        """The heartbeat's content."""
        sessions = self.sessions
        state = ServerState.DRAINING if sessions.draining else ServerState.UP
        return ServerStatus(self.name, state, len(sessions), sessions.limit, self.overruns)

    def set_state(self, state: ServerState) -> None:
        """Drain or take sessions again; every TAS hears at once."""
        self.sessions.draining = state is ServerState.DRAINING
        for link in self.links:
            if link.node:
                link.send_status()

    def link_lost(self, link: Listener, now: float) -> None:
        """A connection is gone; the last one of a node makes its sessions orphans."""
        self.links.remove(link)
        if link.node and all(other.node != link.node for other in self.links):
            self.sessions.node_lost(link.node, now)

    def receive_events(self, events: list[tuple[int, int, int, int]]) -> None:
        """Events of the engine, to the TAS each session belongs to."""
        for kind, cp, a, b in events:
            session = self.sessions.by_cp(cp)
            if session is None:
                continue
            params: object
            if kind == EVENT_DIGIT:
                params = Digit(session.session, chr(a), b)
            elif kind == EVENT_PLAY_FINISHED:
                params = PlayFinished(session.session, a, "digit" if b else "end")
            elif kind == EVENT_FIRST_PACKET:
                params = FirstPacket(session.session, ".".join(str(a >> shift & 255) for shift in (24, 16, 8, 0)), b)
            else:
                params = RtpTimeout(session.session, a / 1000)
            for link in self.links:
                if link.node == session.node:
                    link.notify(NAMES[kind], params)
