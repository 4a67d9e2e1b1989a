"""A TAS process on the virtual clock: plugged as tas/app.py plugs it, its doors replaced by the world's wires."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from common.contracts import topics
from common.contracts.envelopes import Envelope, Presence
from common.contracts.media import Hello
from common.service.bus.memory import MemoryBus
from common.service.metrics import make_registry
from tas.calls import actions_common, actions_direct, actions_queue
from tas.calls.actions import compile_table
from tas.calls.call import Call
from tas.calls.control import CallControl
from tas.calls.table import ROWS
from tas.cdr.model import CdrRow
from tas.config import TasConfig
from tas.media.link import MediaLink
from tas.metrics import TasMetrics
from tas.node import Node
from tas.registrar.registrar import Registrar, load_credentials
from tas.routing.router import Router
from tas.routing.trunks import Trunks
from tas.sip.layer import LayerSettings, SipLayer
from tas.treatment import menu
from tests.scenarios.support.broker import TimedHub
from tests.scenarios.support.media import ControlWire, MediaHost
from tests.scenarios.support.world import SipProcess, World

CONFIGS: Final = Path(__file__).resolve().parents[3] / "configs" / "lab"
WALL_START: Final = 1_700_000_000.0

Call.TABLE = compile_table(ROWS, [actions_common, actions_queue, actions_direct, menu])


@cache
def credentials_of(config: TasConfig) -> dict[bytes, object]:
    """HA1 values, hashed once for all scenarios with the same configuration."""
    return load_credentials(config.agents, config.settings.sip.realm)  # type: ignore[return-value]


class TasHost(SipProcess):
    """One TAS node."""

    def __init__(self, world: World, config: TasConfig, hub: TimedHub, cdr: Callable[[CdrRow], None]) -> None:
        sip = config.settings.sip
        address = (sip.address, sip.udp_port)
        layer = SipLayer(random=world.random.randbytes, settings=LayerSettings(udp=address, tcp=address, t1=sip.t1_s))
        super().__init__(world, layer, address)
        self.config = config
        self.name = config.settings.node
        self.hub = hub
        self.incarnation = world.random.randbytes(4).hex()
        self.bus = MemoryBus(hub, self.name, self.incarnation)
        self.alive = True
        self.ended: list[Call] = []
        """Calls that ended; emptied by scenarios that look for garbage."""
        self.keep_ended = True
        self._due: tuple[float | None, float] = (None, world.now)
        """Deadlines of layer and node at the last look: two alarms, as in the process."""
        self.wires: list[ControlWire] = []
        self.node = self._make_node(cdr)
        self.control = self.node.control
        self._subscribe()

    def _make_node(self, cdr: Callable[[CdrRow], None]) -> Node:
        config, world, settings = self.config, self.world, self.config.settings
        registrar = Registrar(
            node=self.name,
            realm=settings.sip.realm,
            credentials=credentials_of(config),  # type: ignore[arg-type]
            secret=world.random.randbytes(32),
            max_contacts=settings.limits.max_contacts,
            path=self.layer.open_edge(lambda address: self.node.is_peer(address)).path,
        )
        trunks = Trunks(config.trunks, world.now)
        control = CallControl(
            config=config,
            layer=self.layer,
            registrar=registrar,
            router=Router(config.routing, config.agents),
            trunks=trunks,
            metrics=TasMetrics(make_registry()),
            random=world.random.randbytes,
            wall=lambda: WALL_START + world.now,
            cdr=cdr,
            log_end=self._log_end,
        )
        return Node(
            layer=self.layer,
            registrar=registrar,
            trunks=trunks,
            control=control,
            bus=self.bus,
            presence=self._presence,
            now=world.now,
        )

    def _log_end(self, call: Call) -> None:
        if self.keep_ended:
            self.ended.append(call)

    def _presence(self, state: str) -> Presence:
        where = f"{self.address[0]}:{self.address[1]}"
        return Presence(node=self.name, role="tas", inc=self.incarnation, state=state, sip_address=where)

    def _subscribe(self) -> None:
        def commands(topic: str, envelope: Envelope | None) -> None:
            self.node.on_commands(topic, envelope, self.world.now)
            self.world.touch(self)

        def binding(topic: str, envelope: Envelope | None) -> None:
            self.node.on_binding(topic, envelope, self.world.now)

        def connection(connected: bool) -> None:
            self.node.on_connection(connected, self.world.now)
            self.world.touch(self)

        self.bus.subscribe(topics.node_commands(self.name), commands)
        self.bus.subscribe(topics.ALL_BINDINGS, binding)
        self.bus.subscribe(topics.presence("tas", "+"), self.node.on_presence)
        self.bus.on_connection(connection)

    def add_media(self, host: MediaHost) -> None:
        """Use a media server."""
        hello = Hello(version=1, node=self.name, incarnation=self.incarnation, token="")
        link = MediaLink(host.name, hello, self.control)
        self.control.pool.add(link)
        self.wires.append(ControlWire(self.world, self, link, host))

    def start(self) -> None:
        """Connect to the bus and the media servers."""
        self.bus.connect()
        for wire in self.wires:
            wire.start()
        self.world.touch(self)

    def die(self) -> None:
        """The process is gone; the bus is left without a word, the media servers see their connections reset."""
        self.alive = False
        self.world.hosts.pop(self.address, None)
        self.hub.leave(self.bus)
        self.bus.connected = False
        for wire in self.wires:
            wire.cut()

    # Process.

    def next_timeout(self) -> float | None:
        if not self.alive:
            return None
        sip, node = self._due = self.layer.next_timeout(), self.node.next_timeout()
        return node if sip is None or node < sip else sip

    def handle_timeout(self, now: float) -> None:
        if not self.alive:
            return
        sip, node = self._due
        if sip is not None and sip <= now:
            self.layer.handle_timeout(now)
        if node <= now:
            self.node.handle_timeout(now)

    def turn(self, now: float) -> None:
        if not self.alive:
            return
        while self.layer.has_events():
            self.node.receive_events(self.layer.take_events(), now)
        self.node.flush(now)
        for wire in self.wires:
            wire.flush_tas()
        self.transmit()
