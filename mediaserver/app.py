"""The media server process: configuration, prompts, engine, control door, HTTP."""

from __future__ import annotations

import argparse
import asyncio
import random
import secrets
import socket
import sys
from pathlib import Path
from typing import Final

from common.contracts.media import ServerState
from common.service.aio.lifecycle import Lifecycle, run, settle_collector
from common.service.config import ConfigError, load_settings, read_secret
from common.service.http.aio import Health, make_app, start_http
from common.service.http.tokens import TokenStore
from common.service.logs import configure_logs, get_logger
from common.service.metrics import make_registry
from mediaserver.api import add_routes
from mediaserver.config import ENV_PREFIX, MediaServerSettings
from mediaserver.control.aio import ControlDoor
from mediaserver.engine import Engine
from mediaserver.metrics import MediaMetrics
from mediaserver.ports import PortPool
from mediaserver.prompts import Prompts, load_prompts
from mediaserver.server import MediaServer
from mediaserver.sessions import Sessions

EVENTS_PER_TURN: Final = 256
OVERRUN_POLL_S: Final = 1.0
DRAIN_LIMIT_S: Final = 3600.0
RTP_BUFFER_BYTES: Final = 64 * 1024
"""Receive buffer of an RTP socket: a second and more of packets, should the engine be kept waiting."""

_log = get_logger("app")


def rtp_socket(address: str, port: int) -> socket.socket:
    """A bound non-blocking UDP socket; raises OSError."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RTP_BUFFER_BYTES)
        bound.bind((address, port))
    except OSError:
        bound.close()
        raise
    return bound


def load_all_prompts(settings: MediaServerSettings, folder: Path, engine: Engine) -> Prompts:
    """Load prompts, name the bad ones in the log."""
    path = folder / settings.prompts.folder
    if not path.is_dir():
        _log.error("no such folder: no prompt can be played", folder=str(path))
    prompts, errors = load_prompts(path, engine.load_prompt)
    for error in errors:
        _log.error("prompt left out", error=str(error))
    _log.info("prompts loaded", folder=str(path), count=len(prompts))
    return prompts


class MediaProcess:
    """All parts of one media server."""

    def __init__(self, settings: MediaServerSettings, folder: Path, lifecycle: Lifecycle) -> None:
        self._settings = settings
        self._lifecycle = lifecycle
        rtp, engine = settings.rtp, settings.engine
        self._engine = Engine(
            shards=engine.shards,
            capacity=engine.connection_points,
            realtime_priority=engine.realtime_priority,
        )
        sessions = Sessions(
            self._engine,
            load_all_prompts(settings, folder, self._engine),
            PortPool(rtp.port_low, rtp.port_high, random.SystemRandom().randrange),
            bind=lambda port: rtp_socket(rtp.address, port),
            address=rtp.advertised or rtp.address,
            limit=engine.connection_points,
            shards=engine.shards,
            rtp_timeout_ms=int(rtp.timeout_s * 1000),
        )
        token_file = settings.control.token_file
        token = read_secret("control.token_file", None if token_file is None else folder / token_file)
        tokens_file = settings.http.tokens_file
        self._tokens = TokenStore.from_file(folder / tokens_file if tokens_file is not None else None)
        self._server = MediaServer(settings.name, secrets.token_hex(4), token, sessions)
        self._door = ControlDoor(self._server)
        self._registry = make_registry()
        MediaMetrics(settings.name, sessions, self._engine, self._registry)

    def _events_wait(self) -> None:
        events = self._engine.read_events(EVENTS_PER_TURN)
        if events:
            self._server.receive_events(events)
            self._door.flush()

    def health(self) -> Health:
        """Ready when sessions are taken."""
        return Health(draining=self._server.sessions.draining)

    async def main(self) -> int:
        """Run until stopped."""
        settings = self._settings
        if settings.control.token_file is None:
            _log.warning(
                "no control.token_file: any process of this host may control this server", bound="loopback only"
            )
        self._engine.start()
        if settings.engine.realtime_priority and not self._engine.realtime:
            _log.warning("SCHED_FIFO refused: pacing suffers on a busy core; run with CAP_SYS_NICE or ulimit -r")
        loop = asyncio.get_running_loop()
        loop.add_reader(self._engine.event_fd, self._events_wait)
        app = make_app(health=self.health, registry=self._registry)
        add_routes(app, self._door, self._tokens)
        try:
            await self._door.start(settings.control.host, settings.control.port)
            runner = await start_http(app, settings.http.host, settings.http.port)
        except OSError as error:
            _log.error("cannot listen", error=str(error))
            self._engine.stop()
            return 1
        settle_collector()
        _log.info(
            "started",
            control=f"{settings.control.host}:{settings.control.port}",
            limit=settings.engine.connection_points,
        )
        await self._until_over()
        await self._door.stop()
        await runner.cleanup()
        loop.remove_reader(self._engine.event_fd)
        self._engine.stop()
        return 0

    async def _until_over(self) -> None:
        """Serve; after SIGTERM until the sessions are gone or a second signal comes."""
        loop = asyncio.get_running_loop()
        deadline = None
        while not self._lifecycle.stopping.is_set():
            if self._lifecycle.draining.is_set():
                if deadline is None:
                    deadline = loop.time() + DRAIN_LIMIT_S
                    self._server.set_state(ServerState.DRAINING)
                    self._door.flush()
                if not len(self._server.sessions) or loop.time() > deadline:
                    return
            self._server.overruns = int(self._engine.engine_statistics()["overruns"])
            waited_for = self._lifecycle.stopping if deadline is not None else self._lifecycle.draining
            try:
                await asyncio.wait_for(waited_for.wait(), OVERRUN_POLL_S if deadline is None else 0.1)
            except TimeoutError:
                continue


def main() -> None:
    """Entry point of `opentas-mediaserver`."""
    parser = argparse.ArgumentParser(description="OpenTAS media server")
    parser.add_argument("--config", type=Path, required=True, help="mediaserver.toml")
    arguments = parser.parse_args()
    try:
        settings = load_settings(MediaServerSettings, arguments.config, env_prefix=ENV_PREFIX)
    except ConfigError as error:
        sys.exit(str(error))
    configure_logs(process="mediaserver", node=settings.name, level=settings.log.level)

    async def process(lifecycle: Lifecycle) -> int:
        return await MediaProcess(settings, arguments.config.parent, lifecycle).main()

    sys.exit(run(process))


if __name__ == "__main__":
    main()
