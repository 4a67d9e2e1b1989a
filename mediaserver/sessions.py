"""Sessions: connection points by the names TAS nodes give them; commands in, engine calls out."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Final, Protocol
from zlib import crc32

from common.contracts.ids import SessionId
from common.contracts.media import (
    ORPHAN_GRACE_S,
    Codec,
    ErrorCode,
    Play,
    Remote,
    SendDigits,
    SessionCreate,
    SessionModify,
    Statistics,
)
from common.contracts.rpc import INVALID_PARAMS
from mediaserver.checks import SessionError, check_digits, check_play, check_remote
from mediaserver.engine import EngineBusy
from mediaserver.ports import PortPool
from mediaserver.prompts import Prompts

MAX_BIND_TRIES: Final = 16
"""Ports of the range may be in use by others; so many are tried before giving up."""
MAX_COMMANDS: Final = 8
"""Engine commands that one request stages at most; when there is no room for them it is refused before any of it."""

CODEC_NUMBERS: Final = {Codec.PCMU: 0, Codec.PCMA: 1}
"""The engine's PCMU and PCMA."""


class Engine(Protocol):
    """What sessions need of the native engine (see engine/_engine.pyi)."""

    def room(self, shard: int = 0) -> int: ...
    def add(self, fd: int, shard: int = 0) -> int: ...
    def set_remote(
        self, cp: int, address: str, port: int, codec: int, payload_type: int, ptime_ms: int,
        dtmf_payload_type: int, send: bool, receive: bool, learn: bool, rtp_timeout_ms: int,
    ) -> None: ...  # fmt: skip
    def bridge(self, a: int, b: int) -> None: ...
    def unbridge(self, cp: int) -> None: ...
    def echo(self, cp: int, on: bool) -> None: ...
    def play(
        self, cp: int, play_id: int, prompts: Sequence[int], loop_from: int = -1, interrupt_on_digit: bool = False
    ) -> None: ...
    def stop_play(self, cp: int) -> None: ...
    def send_digits(self, cp: int, digits: bytes, duration_ms: int, gap_ms: int) -> None: ...
    def remove(self, cp: int) -> None: ...
    def flush(self) -> None: ...
    def statistics(self, cp: int) -> tuple[int, int, int, int, int, float, int, int, int]: ...


class Session:
    """One connection point."""

    __slots__ = ("bridged", "call_uid", "cp", "node", "port", "remote", "session", "shard")

    def __init__(self, session: SessionId, call_uid: str, node: str, shard: int, cp: int, port: int) -> None:
        self.session = session
        self.call_uid = call_uid
        self.node = node
        self.shard = shard
        self.cp = cp
        self.port = port
        self.remote: Remote | None = None
        self.bridged: SessionId | None = None


class Sessions:
    """All sessions of this server; at most `limit`."""

    def __init__(
        self,
        engine: Engine,
        prompts: Prompts,
        ports: PortPool,
        *,
        bind: Callable[[int], socket.socket],
        address: str,
        limit: int,
        shards: int,
        rtp_timeout_ms: int,
    ) -> None:
        """`bind(port)` gives a bound non-blocking UDP socket or raises OSError."""
        self._engine = engine
        self._prompts = prompts
        self._ports = ports
        self._bind = bind
        self._shards = shards
        self._rtp_timeout_ms = rtp_timeout_ms
        self._by_cp: dict[int, SessionId] = {}
        self._orphans: dict[str, float] = {}
        self.address = address
        self.limit = limit
        self.draining = False
        self.sessions: dict[SessionId, Session] = {}
        self.refused_full = 0

    def __len__(self) -> int:
        return len(self.sessions)

    def of_node(self, node: str) -> list[SessionId]:
        """Sessions that belong to a TAS node."""
        return [session.session for session in self.sessions.values() if session.node == node]

    def by_cp(self, cp: int) -> Session | None:
        """The session of an engine handle."""
        found = self._by_cp.get(cp)
        return self.sessions.get(found) if found is not None else None

    # Requests. Each checks everything before it changes anything; raises SessionError.

    def create(self, request: SessionCreate, node: str, now: float) -> Session:
        """Take a connection point."""
        if self.draining:
            raise SessionError(ErrorCode.DRAINING, "draining: use another media server")
        if request.session in self.sessions:
            raise SessionError(ErrorCode.SESSION_EXISTS, f"session {request.session} exists already")
        if len(self.sessions) >= self.limit:
            self.refused_full += 1
            raise SessionError(ErrorCode.FULL, f"all {self.limit} connection points are taken")
        prompts = self._check(request.remote, request.play)
        # a bridge lives on one shard
        shard = (
            crc32(request.call_uid.encode()) % self._shards
            if request.bridge is None
            else self._find(request.bridge).shard
        )
        self._check_room(shard, MAX_COMMANDS)
        cp, port = self._take_point(shard, now)
        session = Session(request.session, request.call_uid, node, shard, cp, port)
        self.sessions[request.session] = session
        self._by_cp[cp] = request.session
        self._apply(session, request.remote, request.bridge, request.echo or None, request.play, prompts)
        return session

    def modify(self, request: SessionModify) -> None:
        """Set what is given, in the order the contract says."""
        session = self._find(request.session)
        prompts = self._check(request.remote, request.play)
        if request.bridge is not None:
            self._check_bridge(session, self._find(request.bridge))
        self._check_room(session.shard, MAX_COMMANDS)
        if request.unbridge:
            self._unbridge(session)
        if request.stop_play:
            self._engine.stop_play(session.cp)
        self._apply(session, request.remote, request.bridge, request.echo, request.play, prompts)

    def send_digits(self, request: SendDigits) -> None:
        """Send RFC 4733 digits."""
        session = self._find(request.session)
        digits = check_digits(request)
        if session.remote is None or session.remote.dtmf_payload_type is None:
            raise SessionError(INVALID_PARAMS, "the peer takes no telephone events: no dtmf_payload_type in its remote")
        self._check_room(session.shard, MAX_COMMANDS)
        self._engine.send_digits(session.cp, digits, request.duration_ms, request.gap_ms)
        self._engine.flush()

    def delete(self, sessions: list[SessionId], now: float) -> list[Statistics]:
        """Give connection points back; unknown ones are ignored."""
        gone = [self.sessions[name] for name in dict.fromkeys(sessions) if name in self.sessions]
        for shard in {session.shard for session in gone}:
            self._check_room(shard, 2 * len(gone))
        statistics = [self.statistics(session) for session in gone]
        for session in gone:
            self._unbridge(session)
            self._engine.remove(session.cp)
            self._ports.give_back(session.port, now)
            del self.sessions[session.session], self._by_cp[session.cp]
        if gone:
            self._engine.flush()
        return statistics

    def statistics(self, session: Session) -> Statistics:
        """What its connection point counted."""
        received, sent, lost, late, refused, jitter, concealed, address, port = self._engine.statistics(session.cp)
        return Statistics(
            session=session.session,
            packets_received=received,
            packets_sent=sent,
            packets_lost=lost,
            packets_late=late,
            packets_refused=refused,
            jitter_ms=round(jitter, 3),
            concealed_ms=concealed,
            remote_address=socket.inet_ntoa(address.to_bytes(4, "big")) if address else "",
            remote_port=port,
        )

    def dump(self, name: SessionId) -> dict[str, object]:
        """Everything known about one session."""
        session = self._find(name)
        return {
            "session": session.session,
            "call_uid": session.call_uid,
            "node": session.node,
            "port": session.port,
            "bridged": session.bridged,
            "remote": session.remote,
            "statistics": self.statistics(session),
        }

    # Nodes come and go.

    def node_connected(self, node: str) -> None:
        """A TAS node said hello: its sessions are no orphans (any more)."""
        self._orphans.pop(node, None)

    def node_lost(self, node: str, now: float) -> None:
        """A TAS node's last link is gone; its sessions keep their sound for ORPHAN_GRACE_S."""
        if any(session.node == node for session in self.sessions.values()):
            self._orphans[node] = now + ORPHAN_GRACE_S

    def next_timeout(self) -> float | None:
        """When orphans end."""
        return min(self._orphans.values(), default=None)

    def handle_timeout(self, now: float) -> list[str]:
        """End orphans whose grace is over; returns their nodes. What a busy engine does not take comes next time."""
        over = [node for node, deadline in self._orphans.items() if deadline <= now]
        ended = []
        for node in over:
            try:
                self.delete(self.of_node(node), now)
            except SessionError:
                continue
            del self._orphans[node]
            ended.append(node)
        return ended

    # Inside.

    def _find(self, name: SessionId) -> Session:
        session = self.sessions.get(name)
        if session is None:
            raise SessionError(ErrorCode.NO_SESSION, f"no session {name}")
        return session

    def _check_room(self, shard: int, commands: int) -> None:
        if self._engine.room(shard) < commands:
            raise SessionError(ErrorCode.BUSY, "the engine is busy: try again in a millisecond")

    def _check_bridge(self, session: Session, other: Session) -> None:
        if other is session:
            raise SessionError(INVALID_PARAMS, f"session {session.session} cannot be bridged with itself")
        if other.shard != session.shard:
            raise SessionError(INVALID_PARAMS, "sessions of unlike call_uid are on unlike shards: no bridge")

    def _check(self, remote: Remote | None, play: Play | None) -> list[int]:
        if remote is not None:
            check_remote(remote)
        if play is None:
            return []
        check_play(play)
        try:
            return self._prompts.find(play.files)
        except KeyError as error:
            known = ", ".join(self._prompts.names) or "none"
            raise SessionError(ErrorCode.NO_FILE, f"no prompt {error.args[0]!r} here; there are: {known}") from error

    def _take_point(self, shard: int, now: float) -> tuple[int, int]:
        """A connection point of the engine and its port."""
        bound, port = self._bind_port(now)
        try:
            cp = self._engine.add(bound.fileno(), shard)
        except (EngineBusy, ValueError):
            bound.close()
            self._ports.give_back(port, now)
            raise
        bound.detach()  # the engine closes it
        return cp, port

    def _bind_port(self, now: float) -> tuple[socket.socket, int]:
        problem = "widen rtp.port_low to rtp.port_high"
        for _ in range(MAX_BIND_TRIES):
            port = self._ports.take(now)
            if port is None:
                break
            try:
                return self._bind(port), port
            except OSError as error:
                self._ports.give_back(port, now)
                problem = str(error)
        self.refused_full += 1
        raise SessionError(ErrorCode.FULL, f"no free RTP port: {problem}")

    def _apply(
        self,
        session: Session,
        remote: Remote | None,
        bridge: SessionId | None,
        echo: bool | None,
        play: Play | None,
        prompts: list[int],
    ) -> None:
        """What create and modify have in common, in the contract's order, all in one tick."""
        if remote is not None:
            self._set_remote(session, remote)
        if bridge is not None:
            self._bridge(session, self._find(bridge))
        if echo is not None:
            if echo:
                self._unbridge(session)
            self._engine.echo(session.cp, echo)
        if play is not None:
            self._play(session, play, prompts)
        self._engine.flush()

    def _set_remote(self, session: Session, remote: Remote) -> None:
        session.remote = remote
        self._engine.set_remote(
            session.cp,
            remote.address,
            remote.port,
            CODEC_NUMBERS[remote.codec],
            remote.payload_type,
            remote.ptime_ms,
            -1 if remote.dtmf_payload_type is None else remote.dtmf_payload_type,
            remote.send,
            remote.receive,
            remote.learn,
            # a peer that put us on hold (we do not send) owes nothing: most phones send nothing then
            self._rtp_timeout_ms if remote.receive and remote.send else 0,
        )

    def _bridge(self, session: Session, other: Session) -> None:
        for one in (session, other):
            self._unbridge(one)
        session.bridged, other.bridged = other.session, session.session
        self._engine.bridge(session.cp, other.cp)

    def _unbridge(self, session: Session) -> None:
        if session.bridged is None:
            return
        other = self.sessions.get(session.bridged)
        session.bridged = None
        if other is not None:
            other.bridged = None
        self._engine.unbridge(session.cp)

    def _play(self, session: Session, play: Play, prompts: list[int]) -> None:
        loop_from = -1 if play.loop_from is None else play.loop_from
        self._engine.play(session.cp, play.play_id, prompts, loop_from, play.interrupt_on_digit)
