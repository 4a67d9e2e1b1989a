"""The TAS process: reads its configuration, plugs the rooms together and runs them on one loop."""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Final

from common.contracts import topics
from common.contracts.envelopes import Envelope, Presence
from common.contracts.media import Hello
from common.service.aio.alarm import Alarm
from common.service.aio.lifecycle import Lifecycle, run, settle_collector
from common.service.bus.aio.mqtt import MqttBus
from common.service.compiled import sip_core
from common.service.config import ConfigError, read_secret
from common.service.http.aio import Health, make_app, start_http
from common.service.http.tokens import TokenStore
from common.service.logs import configure_logs, get_logger
from common.service.metrics import make_registry
from common.service.store.aio.engine import make_engine, migrate_when_reachable
from tas.admin.api import add_routes
from tas.admin.trace_api import add_trace_routes
from tas.admin.traces import Traces
from tas.admin.view import View
from tas.admin.wall import WallClock
from tas.calls import actions_common, actions_direct, actions_queue
from tas.calls.actions import compile_table
from tas.calls.call import Call
from tas.calls.control import CallControl
from tas.calls.table import ROWS
from tas.cdr.aio import CdrWriter
from tas.config import TasConfig, load_config
from tas.media.aio import LinkDoor
from tas.media.link import MediaLink
from tas.metrics import TasMetrics
from tas.node import Node
from tas.registrar.registrar import Registrar, load_credentials
from tas.routing.router import Router
from tas.routing.trunks import Trunks
from tas.sip.aio.endpoint import SipEndpoint
from tas.sip.aio.hep import HepExporter
from tas.sip.layer import LayerSettings, SipLayer
from tas.sip.trace import MessageTrace
from tas.treatment import menu

STORE_RETRY_S: Final = 2.0
LAST_WORDS_S: Final = 0.2
"""For the last BYEs and the media servers' last statistics."""
MIB: Final = 2**20
DRAIN_LIMIT_S: Final = 3600.0
"""SIGTERM waits this long for calls to end by themselves."""

_log = get_logger("app")


class TasHealth(Health, frozen=True):
    """Readiness, and which SIP core this process runs."""

    sip_core: str = sip_core().kind


def plug_actions() -> None:
    """Give the call table its actions."""
    Call.TABLE = compile_table(ROWS, [actions_common, actions_queue, actions_direct, menu])


class TasProcess:
    """All parts of one TAS process and the one turn that runs them."""

    def __init__(self, config: TasConfig, lifecycle: Lifecycle) -> None:
        self._config = config
        self._lifecycle = lifecycle
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self._loop, self._timed_out)
        self._turn_planned = False
        settings = config.settings
        self._incarnation = secrets.token_hex(4)
        self._registry = make_registry()
        self._metrics = TasMetrics(self._registry)
        self._engine = make_engine(settings.store.url)
        self._cdr = CdrWriter(self._engine, settings.store.spool)
        self._store_ready = False
        self._trace = MessageTrace(settings.trace.ring_mb * MIB)
        will = (topics.presence("tas", settings.node), self._presence("gone"))
        self._bus = MqttBus(settings.bus.url, settings.node, self._incarnation, last_will=will)
        self._layer = self._make_layer()
        self._node = self._make_node()
        self._endpoint = SipEndpoint(
            self._layer,
            self._on_events,
            udp=(settings.sip.address, settings.sip.udp_port),
            tcp=(settings.sip.address, settings.sip.tcp_port),
        )
        self._view = View(self._node, self._trace, self._loop.time, self._plan_turn)
        self._wall = WallClock(time.time, self._loop.time)
        self._traces = Traces(settings.node, self._trace, self._view, local=self._layer.local_address, wall=self._wall)
        self._doors = self._make_doors()

    def _make_layer(self) -> SipLayer:
        sip = self._config.settings.sip
        host = sip.advertised or sip.address
        settings = LayerSettings(udp=(host, sip.udp_port), tcp=(host, sip.tcp_port), t1=sip.t1_s)
        return SipLayer(random=os.urandom, settings=settings, trace=self._trace)

    def _make_node(self) -> Node:
        config, settings, now = self._config, self._config.settings, self._loop.time()
        registrar = Registrar(
            node=settings.node,
            realm=settings.sip.realm,
            credentials=load_credentials(config.agents, settings.sip.realm),
            secret=secrets.token_bytes(32),
            max_contacts=settings.limits.max_contacts,
            path=self._layer.open_edge(lambda address: self._node.is_peer(address)).path,
        )
        trunks = Trunks(config.trunks, now)
        control = CallControl(
            config=config,
            layer=self._layer,
            registrar=registrar,
            router=Router(config.routing, config.agents),
            trunks=trunks,
            metrics=self._metrics,
            random=os.urandom,
            wall=time.time,
            cdr=self._cdr.add,
            log_end=self._call_ended,
        )
        return Node(
            layer=self._layer,
            registrar=registrar,
            trunks=trunks,
            control=control,
            bus=self._bus,
            presence=self._presence,
            now=now,
        )

    def _make_doors(self) -> list[LinkDoor]:
        settings = self._config.settings
        token = read_secret("media.token_file", settings.media.token_file)
        hello = Hello(version=1, node=settings.node, incarnation=self._incarnation, token=token)
        control = self._node.control
        doors = []
        for entry in settings.media.servers:
            link = MediaLink(entry.name, hello, control)
            control.pool.add(link)
            self._metrics.media_state(entry.name, link.state, link.state)
            doors.append(LinkDoor(link, entry.host, entry.port, self._after_media))
        return doors

    async def _export_trace(self) -> HepExporter | None:
        """Copies to Homer, when configured; calls are served without it too."""
        settings = self._config.settings
        address = settings.trace.hep_address
        if address is None:
            return None
        exporter = HepExporter(
            node=settings.node,
            capture_id=settings.trace.hep_capture_id,
            local=self._layer.local_address,
            wall=self._wall,
        )
        try:
            await exporter.open(address)
        except OSError as error:
            _log.warning("trace.hep: no copies are sent", target=settings.trace.hep, error=str(error))
            return None
        self._trace.add_tap(exporter.tap)
        return exporter

    def _presence(self, state: str) -> Presence:
        settings = self._config.settings
        return Presence(
            node=settings.node,
            role="tas",
            inc=self._incarnation,
            state=state,
            sip_address=f"{settings.sip.advertised or settings.sip.address}:{settings.sip.udp_port}",
            http=f"{settings.http.host}:{settings.http.port}",
        )

    # One turn: everything that was put in has been handled; let out what is to go.

    def _on_events(self, now: float) -> None:
        self._node.receive_events(self._layer.take_events(), now)
        self._let_out(now)

    def _after_media(self, now: float) -> None:
        self._let_out(now)
        self._endpoint.run()

    def _plan_turn(self) -> None:
        if not self._turn_planned:
            self._turn_planned = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._turn_planned = False
        self._let_out(self._loop.time())
        self._endpoint.run()

    def _timed_out(self, now: float) -> None:
        self._node.handle_timeout(now)
        self._metrics.calls_active.set(len(self._node.control.calls))
        self._metrics.registrations.set(len(self._node.registrar.bindings))
        self._metrics.draining.set(self._node.control.draining)
        self._let_out(now)
        self._endpoint.run()

    def _let_out(self, now: float) -> None:
        self._node.flush(now)
        for door in self._doors:
            door.flush()
        self._alarm.set(self._node.next_timeout())

    def _call_ended(self, call: Call) -> None:
        self._view.call_ended(call)
        if call.outcome is not None:
            _log.info(
                "call ended",
                call_uid=call.uid,
                caller=call.caller.number,
                called=call.called,
                queue=call.queue,
                agent=call.agent,
                trunk=call.trunk,
                media=call.media_server,
                result=call.outcome.result,
                reason=call.outcome.reason,
            )

    # The bus.

    def _subscribe(self) -> None:
        def commands(topic: str, envelope: Envelope | None) -> None:
            self._node.on_commands(topic, envelope, self._loop.time())
            self._plan_turn()

        def binding(topic: str, envelope: Envelope | None) -> None:
            self._node.on_binding(topic, envelope, self._loop.time())

        def connection(connected: bool) -> None:
            self._node.on_connection(connected, self._loop.time())
            self._plan_turn()

        self._bus.subscribe(topics.node_commands(self._config.settings.node), commands)
        self._bus.subscribe(topics.ALL_BINDINGS, binding)
        self._bus.subscribe(topics.presence("tas", "+"), self._node.on_presence)
        self._bus.on_connection(connection)

    # Life.

    def health(self) -> Health:
        """Ready when calls can be served."""
        waiting = []
        if not any(link.usable for link in self._node.control.pool.links):
            waiting.append("media server")
        if not self._bus.connected:
            waiting.append("bus")
        if not self._store_ready:
            waiting.append("store")
        return TasHealth(waiting, self._node.control.draining)

    async def _migrate(self) -> None:
        said = False

        def waiting(error: Exception) -> None:
            nonlocal said
            if not said:
                _log.warning("store not reachable, waiting", error=str(error)[:200])
            said = True

        await migrate_when_reachable(self._engine, STORE_RETRY_S, waiting)
        self._store_ready = True
        self._cdr.start()

    async def main(self) -> int:
        """Run until stopped."""
        settings = self._config.settings
        tokens = TokenStore.from_file(settings.http.tokens_file)
        app = make_app(health=self.health, registry=self._registry)
        add_routes(app, self._view, tokens)
        add_trace_routes(app, self._traces, tokens)
        try:
            await self._endpoint.start()
            runner = await start_http(app, settings.http.host, settings.http.port)
        except OSError as error:
            _log.error("cannot listen", error=str(error))
            return 1
        migration = asyncio.get_running_loop().create_task(self._migrate(), name="migrate")
        self._subscribe()
        self._bus.start()
        for door in self._doors:
            door.start()
        exporter = await self._export_trace()
        self._timed_out(self._loop.time())
        settle_collector()
        self._say_started()
        await self._lifecycle.draining.wait()
        await self._drain()
        migration.cancel()
        for door in self._doors:
            await door.stop()
        self._alarm.cancel()
        await self._endpoint.stop()
        await self._cdr.stop()
        await self._bus.stop()
        if exporter is not None:
            exporter.close()
        await runner.cleanup()
        await self._engine.dispose()
        return 0

    def _say_started(self) -> None:
        sip, http, core = self._config.settings.sip, self._config.settings.http, sip_core()
        _log.info("started", sip=f"{sip.address}:{sip.udp_port}", http=f"{http.host}:{http.port}", sip_core=core.kind)
        if core.reason:
            _log.warning("the compiled SIP core is not used", reason=core.reason)

    async def _drain(self) -> None:
        """No new calls; wait for those that are up, or for a second signal."""
        self._view.set_draining(True)
        deadline = self._loop.time() + DRAIN_LIMIT_S
        while self._node.control.calls and not self._lifecycle.stopping.is_set() and self._loop.time() < deadline:
            try:
                await asyncio.wait_for(self._lifecycle.stopping.wait(), 0.1)
            except TimeoutError:
                continue
        self._node.control.hang_up_all(self._loop.time())
        self._turn()
        await asyncio.sleep(LAST_WORDS_S)


def main() -> None:
    """Entry point of `opentas-tas`."""
    parser = argparse.ArgumentParser(description="OpenTAS telephony application server")
    about = f"opentas-tas {version('opentas')}, sip core: {sip_core().kind}"
    parser.add_argument("--version", action="version", version=about)
    parser.add_argument("--config", type=Path, required=True, help="tas.toml")
    arguments = parser.parse_args()
    try:
        config = load_config(arguments.config)
    except ConfigError as error:
        sys.exit(str(error))
    configure_logs(process="tas", node=config.settings.node, level=config.settings.log.level)
    plug_actions()

    async def process(lifecycle: Lifecycle) -> int:
        return await TasProcess(config, lifecycle).main()

    sys.exit(run(process))


if __name__ == "__main__":
    main()
