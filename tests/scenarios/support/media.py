"""A media server on the virtual clock: everything real but the native engine, and the control connections to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, Final, cast

from common.contracts.ids import SessionId
from common.contracts.media import STATUS_INTERVAL_S
from mediaserver.control.link import ControlLink
from mediaserver.engine import EVENT_DIGIT, EVENT_PLAY_FINISHED, EVENT_RTP_TIMEOUT
from mediaserver.ports import COOL_DOWN_S, PortPool
from mediaserver.prompts import Prompts, read_wav
from mediaserver.server import MediaServer
from mediaserver.sessions import Session, Sessions
from tas.media.link import MediaLink
from tests.scenarios.support.world import CONTROL_S, Process, World

if TYPE_CHECKING:
    from tests.scenarios.support.tas import TasHost

RECONNECT_S: Final = 0.5
BYTES_PER_SECOND: Final = 16_000
SOUNDS: Final = Path(__file__).resolve().parents[3] / "configs" / "lab" / "sounds"


@cache
def prompt_lengths() -> dict[str, float]:
    """Seconds of each prompt of the lab, by name."""
    return {path.stem: len(read_wav(path)) / BYTES_PER_SECOND for path in sorted(SOUNDS.glob("*.wav"))}


@dataclass
class Point:
    """What the engine was told of one connection point."""

    remote: tuple[str, int] | None = None
    codec: int = -1
    send: bool = False
    receive: bool = False
    peer: int = -1
    echo: bool = False
    play_id: int = 0
    prompts: tuple[int, ...] = ()
    loops: bool = False
    interruptible: bool = False
    digits: bytes = b""


@dataclass
class ScriptedEngine:
    """Stands for the native engine, which runs on real time and real sockets: keeps what it was told, ends plays on
    the virtual clock, and reports the digits and silences a scenario asks for."""

    world: World
    lengths: list[float]
    points: dict[int, Point] = field(default_factory=dict)
    ends: dict[int, float] = field(default_factory=dict)
    """When plays end, by connection point."""
    events: list[tuple[int, int, int, int]] = field(default_factory=list)
    last: int = 0
    flushed: bool = True

    def room(self, shard: int = 0) -> int:
        return 1024

    def add(self, fd: int, shard: int = 0) -> int:
        self.last += 1
        self.points[self.last] = Point()
        return self.last

    def set_remote(
        self, cp: int, address: str, port: int, codec: int, payload_type: int, ptime_ms: int,
        dtmf_payload_type: int, send: bool, receive: bool, learn: bool, rtp_timeout_ms: int,
    ) -> None:  # fmt: skip
        point = self.points[cp]
        point.remote, point.codec, point.send, point.receive = (address, port), codec, send, receive

    def bridge(self, a: int, b: int) -> None:
        for one, other in ((a, b), (b, a)):
            self.stop_play(one)
            self.points[one].peer, self.points[one].echo = other, False

    def unbridge(self, cp: int) -> None:
        other = self.points.get(self.points[cp].peer)
        self.points[cp].peer = -1
        if other is not None:
            other.peer = -1

    def echo(self, cp: int, on: bool) -> None:
        self.points[cp].echo = on

    def play(
        self, cp: int, play_id: int, prompts: Sequence[int], loop_from: int = -1, interrupt_on_digit: bool = False
    ) -> None:
        point = self.points[cp]
        point.play_id, point.prompts, point.loops = play_id, tuple(prompts), loop_from >= 0
        point.interruptible = interrupt_on_digit
        self.ends.pop(cp, None)
        if not point.loops:
            self.ends[cp] = self.world.now + sum(self.lengths[prompt] for prompt in prompts)

    def stop_play(self, cp: int) -> None:
        point = self.points[cp]
        point.prompts, point.loops = (), False
        self.ends.pop(cp, None)

    def send_digits(self, cp: int, digits: bytes, duration_ms: int, gap_ms: int) -> None:
        self.points[cp].digits += digits

    def remove(self, cp: int) -> None:
        del self.points[cp]
        self.ends.pop(cp, None)

    def flush(self) -> None:
        self.flushed = True

    def statistics(self, cp: int) -> tuple[int, int, int, int, int, float, int, int, int]:
        return 50, 50, 1, 0, 0, 0.5, 0, 0, 0

    # What a scenario makes happen.

    def press(self, cp: int, digit: str) -> None:
        """The peer presses a key (RFC 4733)."""
        self.events.append((EVENT_DIGIT, cp, ord(digit), 100))
        point = self.points[cp]
        if point.interruptible and point.prompts:
            self.events.append((EVENT_PLAY_FINISHED, cp, point.play_id, 1))
            self.stop_play(cp)

    def fall_silent(self, cp: int) -> None:
        """No RTP comes for as long as the server allows."""
        self.events.append((EVENT_RTP_TIMEOUT, cp, 60_000, 0))

    def next_timeout(self) -> float | None:
        return min(self.ends.values(), default=None) if self.ends else None

    def handle_timeout(self, now: float) -> None:
        for cp in [cp for cp, ends_at in self.ends.items() if ends_at <= now]:
            self.events.append((EVENT_PLAY_FINISHED, cp, self.points[cp].play_id, 0))
            self.stop_play(cp)


class BoundPort:
    """Stands for a bound socket."""

    def __init__(self, port: int) -> None:
        self.port = port

    def fileno(self) -> int:
        return self.port

    def detach(self) -> int:
        return self.port

    def close(self) -> None:
        """Nothing was opened."""


class MediaHost(Process):
    """One media server process."""

    def __init__(self, world: World, name: str, *, limit: int, ports: tuple[int, int]) -> None:
        super().__init__(world)
        self.name = name
        lengths = prompt_lengths()
        self.engine = ScriptedEngine(world, list(lengths.values()))
        self.ports = PortPool(*ports, world.random.randrange)
        self.port_count = len(self.ports)
        self.sessions = Sessions(
            self.engine,
            Prompts({prompt: handle for handle, prompt in enumerate(lengths)}),
            self.ports,
            bind=lambda port: cast(socket, BoundPort(port)),
            address="127.0.0.1",
            limit=limit,
            shards=1,
            rtp_timeout_ms=60_000,
        )
        self.server = MediaServer(name, world.random.randbytes(4).hex(), "", self.sessions)
        self.alive = True
        self.created = 0
        self.wires: list[ControlWire] = []
        self._status_at = world.now + STATUS_INTERVAL_S

    def next_timeout(self) -> float | None:
        if not self.alive:
            return None
        ends_at = self.engine.next_timeout()
        return self._status_at if ends_at is None else min(self._status_at, ends_at)

    def handle_timeout(self, now: float) -> None:
        if not self.alive:
            return
        self.engine.handle_timeout(now)
        if now >= self._status_at:
            self._status_at = now + STATUS_INTERVAL_S
            self.sessions.handle_timeout(now)
            for wire in self.wires:
                if wire.server_link is not None and wire.server_link.node:
                    wire.server_link.send_status()

    def turn(self, now: float) -> None:
        if not self.alive:
            return
        if self.engine.events:
            events, self.engine.events = self.engine.events, []
            self.server.receive_events(events)
        for wire in self.wires:
            wire.flush_server()

    def die(self) -> None:
        """The process is gone: its connections are reset, its sessions no more."""
        self.alive = False
        for wire in self.wires:
            wire.cut()

    # What a scenario looks at.

    def session(self, name: str) -> Session:
        return self.sessions.sessions[SessionId(name)]

    def point(self, name: str) -> Point:
        """What the engine knows of a session."""
        return self.engine.points[self.session(name).cp]

    def press(self, name: str, digit: str) -> None:
        """The session's peer presses a key."""
        self.engine.press(self.session(name).cp, digit)
        self.world.touch(self)

    def fall_silent(self, name: str) -> None:
        """The session's peer sends no RTP any more."""
        self.engine.fall_silent(self.session(name).cp)
        self.world.touch(self)

    def left_over(self) -> dict[str, int]:
        """What is still taken once ports have rested."""
        probe = self.ports.take(self.world.now + COOL_DOWN_S)
        taken = self.port_count - 1 - len(self.ports)
        if probe is not None:
            self.ports.give_back(probe, self.world.now - COOL_DOWN_S)
        return {"sessions": len(self.sessions), "points": len(self.engine.points), "ports": taken}


class ControlWire:
    """The TCP connection between one TAS's link and one media server: in order, cut and made again."""

    def __init__(self, world: World, tas: TasHost, link: MediaLink, host: MediaHost) -> None:
        self.world = world
        self.tas = tas
        self.link = link
        self.host = host
        self.server_link: ControlLink | None = None
        self.blocked = False
        """No connection can be made: a partition."""
        self._generation = 0
        host.wires.append(self)

    def start(self) -> None:
        """Connect, now and whenever the connection is gone."""
        if self.server_link is not None or not self.tas.alive:
            return
        if self.host.alive and not self.blocked:
            self._generation += 1
            self.server_link = ControlLink(self.host.server)
            self.host.server.links.append(self.server_link)
            self.link.connection_made(self.world.now)
        else:
            self.world.after(RECONNECT_S, self.tas, self.start)

    def flush_tas(self) -> None:
        """Bytes from the TAS to the server."""
        data = self.link.take_sends()
        if data:
            self.world.after(CONTROL_S, self.host, self._to_server, data, self._generation)
        if self.link.close and self.server_link is not None:
            self.cut()

    def flush_server(self) -> None:
        """Bytes from the server to the TAS."""
        if self.server_link is None:
            return
        data = self.server_link.take_sends()
        if data:
            self.world.after(CONTROL_S, self.tas, self._to_tas, data, self._generation)
        if self.server_link.close:
            self.cut()

    def _to_server(self, data: bytes, generation: int) -> None:
        if self.server_link is not None and generation == self._generation and self.host.alive:
            self.server_link.receive_data(data, self.world.now)

    def _to_tas(self, data: bytes, generation: int) -> None:
        if self.server_link is not None and generation == self._generation and self.tas.alive:
            self.link.receive_data(data, self.world.now)

    def cut(self) -> None:
        """The connection breaks; both ends notice, the TAS tries again."""
        if self.server_link is None:
            return
        lost, self.server_link = self.server_link, None
        self.host.server.link_lost(lost, self.world.now)
        self.world.touch(self.host)
        if self.tas.alive:
            self.link.connection_lost(self.world.now)
            self.world.after(RECONNECT_S, self.tas, self.start)
            self.world.touch(self.tas)
