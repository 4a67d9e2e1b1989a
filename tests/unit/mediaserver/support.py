"""Sessions on the real engine, whose thread is not started: what is staged stays in its ring and can be counted."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from typing import Any

from common.contracts.ids import CallUid, SessionId
from common.contracts.media import Codec, Play, Remote, SessionCreate
from mediaserver.app import rtp_socket
from mediaserver.engine import Engine
from mediaserver.ports import PortPool
from mediaserver.prompts import Prompts
from mediaserver.sessions import Sessions

HOST = "127.0.0.1"
NODE = "tas-1"
RING = 4096
"""Commands the engine's ring takes."""
REMOTE = Remote(HOST, 4000, Codec.PCMA, 8, dtmf_payload_type=101)
PLAY = Play(1, ["welcome"])


def bind_any(_port: int) -> socket.socket:
    """A socket on any port: numbers of the pool are only names in these tests."""
    return rtp_socket(HOST, 0)


def make_engine(capacity: int = 8, shards: int = 1) -> Engine:
    return Engine(capacity=capacity, shards=shards, realtime_priority=0)


def make_sessions(
    engine: Engine,
    *,
    limit: int = 4,
    ports: PortPool | None = None,
    bind: Callable[[int], socket.socket] = bind_any,
    shards: int = 1,
) -> Sessions:
    """Sessions with prompts `welcome` and `music`."""
    prompts = Prompts({name: engine.load_prompt(bytes(320)) for name in ("welcome", "music")})
    return Sessions(
        engine,
        prompts,
        ports or PortPool(20000, 20099, random.Random(1).randrange),
        bind=bind,
        address="192.0.2.7",
        limit=limit,
        shards=shards,
        rtp_timeout_ms=60_000,
    )


def wish(name: str = "a", **changes: Any) -> SessionCreate:
    """A session.create; all of one test are of one call unless it says otherwise."""
    return SessionCreate(SessionId(name), CallUid(changes.pop("call_uid", "call-1")), **changes)
