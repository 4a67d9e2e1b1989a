"""A whole OpenTAS in memory: configs/lab, read by the real loaders, on one virtual clock."""

from __future__ import annotations

from functools import cache
from typing import Final

from agentbroker.config import BrokerConfig
from agentbroker.config import load_config as load_broker_config
from common.contracts.agents import AgentState
from common.service.directory import AgentsFile, QueuesFile
from tas.calls.call import Call
from tas.cdr.model import CdrRow
from tas.config import TasConfig, TrunksFile
from tas.config import load_config as load_tas_config
from tests.scenarios.support.broker import BrokerHost, TimedHub
from tests.scenarios.support.media import MediaHost
from tests.scenarios.support.peers import Pbx, PeerCall, Phone
from tests.scenarios.support.tas import CONFIGS, TasHost
from tests.scenarios.support.world import World

PBX: Final = ("127.0.0.2", 5080)
REST_S: Final = 65.0
"""The longest of 64*T1, an offer's lease and the ring time of a direct call, and some."""
AT_REST: Final = {"transactions": 0, "dialogs": 0, "usages": 0, "timers": 0}


@cache
def lab_config() -> TasConfig:
    """configs/lab/tas.toml and what it names."""
    return load_tas_config(CONFIGS / "tas.toml")


@cache
def broker_config() -> BrokerConfig:
    """configs/lab/agentbroker.toml and what it names."""
    return load_broker_config(CONFIGS / "agentbroker.toml")


@cache
def node_config(number: int) -> TasConfig:
    """The configuration of the n-th TAS node: other name and ports, all else the same."""
    base = lab_config()
    sip = base.settings.sip.model_copy(
        update={"udp_port": 5060 + 10 * (number - 1), "tcp_port": 5060 + 10 * (number - 1)}
    )
    settings = base.settings.model_copy(update={"node": f"tas-{number}", "sip": sip})
    return with_settings(base, settings=settings)


def with_settings(base: TasConfig, **changed: object) -> TasConfig:
    """A copy with some parts replaced."""
    parts = {name: changed.get(name, getattr(base, name)) for name in ("settings", "agents", "queues", "trunks")}
    return TasConfig(
        parts["settings"],  # type: ignore[arg-type]
        AgentsFile.model_construct(agents=parts["agents"]),  # type: ignore[arg-type]
        QueuesFile.model_construct(queues=parts["queues"]),  # type: ignore[arg-type]
        TrunksFile.model_construct(trunks=parts["trunks"]),  # type: ignore[arg-type]
        base.routing,
    )


class Lab:
    """Broker, TAS nodes, media servers, the call manager and agents' phones."""

    def __init__(
        self,
        *,
        tas: int = 1,
        media: int = 1,
        seed: int = 1,
        loss: float = 0.0,
        limit: int = 500,
        limits: dict[str, int] | None = None,
        queue: dict[str, object] | None = None,
        trunk: dict[str, object] | None = None,
        absent: tuple[str, ...] = (),
    ) -> None:
        """`limits` and `absent` name media servers; `queue` and `trunk` change keys of `support` and `pbx`."""
        self.world = World(seed, loss=loss)
        self.hub = TimedHub(self.world)
        self.cdrs: list[CdrRow] = []
        self._queue = queue or {}
        self._trunk = trunk or {}
        self.brokers: list[BrokerHost] = []
        self.media = [
            MediaHost(self.world, f"media-{n}", limit=(limits or {}).get(f"media-{n}", limit), ports=(20000, 21999))
            for n in range(1, media + 1)
        ]
        self.tas = [TasHost(self.world, self._node_config(n), self.hub, self.cdrs.append) for n in range(1, tas + 1)]
        self.pbx = Pbx(self.world, PBX, self.tas[0].address)
        self.phones: dict[str, Phone] = {}
        for host in self.media:
            host.alive = host.name not in absent
            self.world.touch(host)
        self.start_broker()
        for node in self.tas:
            for host in self.media:
                node.add_media(host)
            node.start()
        self.world.run(0.6)

    def _node_config(self, number: int) -> TasConfig:
        config = node_config(number)
        if not self._queue and not self._trunk:
            return config
        queues = {**config.queues, "support": config.queues["support"].model_copy(update=self._queue)}
        trunks = {**config.trunks, "pbx": config.trunks["pbx"].model_copy(update=self._trunk)}
        return with_settings(config, queues=queues, trunks=trunks)

    # Processes.

    @property
    def now(self) -> float:
        return self.world.now

    @property
    def broker(self) -> BrokerHost:
        """The latest broker."""
        return self.brokers[-1]

    def start_broker(self) -> BrokerHost:
        """A broker that leads, with a higher epoch than any before and what the store remembers."""
        base = broker_config()
        queues = {**base.queues, "support": base.queues["support"].model_copy(update=self._queue)}
        config = BrokerConfig(base.settings, base.agents, queues)
        remembered = self.broker.remembered() if self.brokers else None
        broker = BrokerHost(self.world, config, self.hub, epoch=len(self.brokers) + 1, remembered=remembered)
        self.brokers.append(broker)
        broker.start()
        return broker

    def restart_media(self, number: int = 0) -> MediaHost:
        """A new process in the place of one that died: no sessions, another incarnation."""
        old = self.media[number]
        new = MediaHost(self.world, old.name, limit=old.sessions.limit, ports=(20000, 21999))
        for wire in old.wires:
            wire.host = new
            new.wires.append(wire)
        self.media[number] = new
        self.world.touch(new)
        return new

    def agents(self, count: int, *, tas: int = 0, first: int = 1001) -> list[Phone]:
        """Phones that register one after another, so that the first has been idle longest."""
        made = []
        for number in range(first, first + count):
            phone = self.phone(str(number), tas=tas)
            phone.register()
            self.run(0.05)
            assert phone.registered or self.world.loss, phone.register_status
            made.append(phone)
        self.world.run_until(lambda: all(phone.registered for phone in made))
        self.run(0.05)
        return made

    def phone(self, agent: str, *, tas: int = 0) -> Phone:
        """A phone, not registered yet."""
        phone = Phone(self.world, agent, ("127.0.0.1", 30_000 + int(agent)), self.tas[tas].address)
        self.phones[agent] = phone
        return phone

    # Time.

    def run(self, seconds: float) -> None:
        self.world.run(seconds)

    def until(self, reached: object, limit_s: float = 60.0) -> None:
        """See World.run_until."""
        self.world.run_until(reached, limit_s)  # type: ignore[arg-type]

    # What a scenario looks at.

    def call_of(self, number: int = -1, *, tas: int = 0) -> Call:
        """A call as its TAS has it: by default the latest one."""
        return list(self.tas[tas].control.calls.values())[number]

    def queue_call(self, number: str = "8000", *, caller: str = "0301234567", tas: int = 0) -> PeerCall:
        """A caller of the trunk who hears the queue's welcome."""
        call = self.pbx.call(number, caller=caller, server=self.tas[tas].address)
        self.until(lambda: call.answered_at is not None or call.rejected)
        return call

    def state(self, agent: str) -> tuple[AgentState, str]:
        """An agent's state and reason."""
        found = self.broker.agent(agent)
        return found.state, str(found.reason)

    # The end of every scenario.

    def assert_nothing_left(self, *, calls: int | None = None, waiting_s: float = REST_S) -> None:
        """After all calls: nothing is alive in any process, and there is one CDR for each call."""
        self.run(waiting_s)
        for node in self.tas:
            if node.alive:
                self._assert_node_at_rest(node)
        for host in self.media:
            if host.alive:
                assert host.left_over() == {"sessions": 0, "points": 0, "ports": 0}, host.name
        nothing = {"offers": 0, "waiting": 0, "deadlines": False, "busy": [], "in_calls": [], "pending": []}
        assert self.broker.left_over() == nothing
        for peer in (self.pbx, *self.phones.values()):
            assert peer.layer.counts() == AT_REST, peer.address
        uids = [row.call_uid for row in self.cdrs]
        assert len(set(uids)) == len(uids), "a call with two CDRs"
        if calls is not None:
            assert len(uids) == calls

    def _assert_node_at_rest(self, node: TasHost) -> None:
        assert node.node.counts() == {**AT_REST, "calls": 0, "call_timers": 0, "options": 0}, node.name
        assert node.control.next_timeout() is None
        assert not node.control.take_bus_events()
        assert all(trunk.channels == 0 for trunk in node.node.trunks.by_name.values())
        for link in node.control.pool.links:
            assert not link._pending, f"{node.name}: {link.name} owes replies"
            assert link.used == 0 or link.state == "down"
        assert not node.layer.has_events()
