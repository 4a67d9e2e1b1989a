"""The agent broker process: configuration, lease, bus, store, HTTP and console."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import secrets
import sys
import time
from pathlib import Path
from typing import Final

import aiohttp
import msgspec
from sqlalchemy.exc import SQLAlchemyError

from agentbroker.acd.logons import Remembered
from agentbroker.api.routes import Api, add_routes
from agentbroker.broker import Broker
from agentbroker.config import BrokerConfig, load_config
from agentbroker.election import RENEW_S, Election, Row
from agentbroker.metrics import BrokerMetrics
from agentbroker.store import BrokerStore
from common.contracts import topics
from common.contracts.envelopes import Envelope, Presence
from common.contracts.topics import HEARTBEAT_INTERVAL_S
from common.service.aio.alarm import Alarm
from common.service.aio.lifecycle import Lifecycle, run, settle_collector
from common.service.bus.aio.mqtt import MqttBus
from common.service.config import ConfigError
from common.service.http.aio import Health, make_app, start_http
from common.service.http.tokens import TokenStore
from common.service.logs import configure_logs, get_logger
from common.service.metrics import make_registry
from common.service.store.aio.engine import make_engine, migrate_when_reachable

STORE_RETRY_S: Final = 2.0
LAST_STATES_S: Final = 2.0
"""A new leader waits this long for what its agents did last; that somebody leads matters more."""
WRITE_DELAY_S: Final = 0.25
MAX_UNWRITTEN: Final = 20_000
"""Activity rows kept while the store is away; beyond it the oldest are lost."""
NODE_TIMEOUT_S: Final = 2.0

_log = get_logger("app")


class BrokerProcess:
    """All parts of one broker."""

    def __init__(self, config: BrokerConfig, lifecycle: Lifecycle) -> None:
        settings = config.settings
        self._settings = settings
        self._lifecycle = lifecycle
        self._loop = asyncio.get_running_loop()
        self._incarnation = secrets.token_hex(4)
        self._election = Election(settings.node)
        will = (topics.presence("broker", settings.node), self._presence("gone"))
        self._bus = MqttBus(settings.bus.url, settings.node, self._incarnation, last_will=will)
        self._broker = Broker(config, self._bus, self._election, self._loop.time())
        self._sql = make_engine(settings.store.url)
        self._store = BrokerStore(self._sql, settings.node)
        self._registry = make_registry()
        BrokerMetrics(self._broker, self._loop.time, self._registry)
        self._activity: list[dict[str, object]] = []
        self._placements: dict[str, str] = {}
        self._alarm = Alarm(self._loop, self._timed_out)
        self._turn_planned = False
        self._store_ready = False
        self._troubles: set[str] = set()
        self._hurry = asyncio.Event()
        """Rows are not to wait: what a person asked for must outlive this process."""

    def _presence(self, state: str) -> Presence:
        http = self._settings.http
        return Presence(
            node=self._settings.node,
            role="broker",
            inc=self._incarnation,
            state=state,
            http=f"{http.host}:{http.port}",
            leader_epoch=self._election.epoch,
        )

    # One turn.

    def _plan_turn(self) -> None:
        if not self._turn_planned:
            self._turn_planned = True
            self._loop.call_soon(self._turn)

    def _person_acted(self) -> None:
        self._plan_turn()
        self._hurry.set()

    def _turn(self) -> None:
        self._turn_planned = False
        now = self._loop.time()
        self._broker.flush(now)
        self._collect()
        self._alarm.set(self._broker.next_timeout())

    def _timed_out(self, now: float) -> None:
        self._broker.handle_timeout(now)
        self._turn()

    def _collect(self) -> None:
        """Rows for the store: written in the background, in batches."""
        wall = round(time.time(), 3)
        engine = self._broker.engine
        self._activity += [{**row._asdict(), "at": wall} for row in engine.take_activity()]
        self._placements |= engine.logons.placement.take_changes()
        if not self._election.leading:  # the next leader's rows are the newer ones
            self._activity.clear()
            self._placements.clear()
        del self._activity[:-MAX_UNWRITTEN]

    # The bus.

    def _subscribe(self) -> None:
        def presence(topic: str, envelope: Envelope | None) -> None:
            self._broker.on_presence(topic, envelope, self._loop.time())
            self._plan_turn()

        def events(topic: str, envelope: Envelope | None) -> None:
            self._broker.on_events(topic, envelope, self._loop.time())
            self._plan_turn()

        def connection(connected: bool) -> None:
            if connected:
                self._announce(retain=True)

        self._bus.subscribe(topics.ALL_PRESENCE, presence)
        self._bus.subscribe(topics.ALL_HEARTBEATS, presence)
        self._bus.subscribe(topics.ALL_NODE_EVENTS, events)
        self._bus.on_connection(connection)

    def _announce(self, *, retain: bool) -> None:
        topic = topics.presence if retain else topics.heartbeat
        self._bus.publish(topic("broker", self._settings.node), self._presence("up"), retain=retain)

    # Background tasks.

    async def _heartbeats(self) -> None:
        while True:
            self._announce(retain=False)
            await asyncio.sleep(HEARTBEAT_INTERVAL_S)

    async def _elect(self) -> None:
        said = False

        def waiting(error: Exception) -> None:
            nonlocal said
            if not said:
                _log.warning("store not reachable, waiting", error=str(error)[:200])
            said = True

        await migrate_when_reachable(self._sql, STORE_RETRY_S, waiting)
        self._store_ready = True
        while True:
            led = self._election.leading
            try:
                await self._lease_step()
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                self._say("lease not read or written", error)
            else:
                self._say("lease not read or written", None)
            if led and not self._broker.leads(self._loop.time()):
                _log.warning("leads no more")
                self._announce(retain=True)
            await asyncio.sleep(RENEW_S)

    async def _lease_step(self) -> None:
        election, asked_at = self._election, self._loop.time()
        if election.leading:
            async with asyncio.timeout(RENEW_S):
                election.renewed(await self._store.renew_lease(election.epoch), asked_at)
            return
        async with asyncio.timeout(RENEW_S):
            row = await self._store.read_lease()
        if election.observe(row, self._loop.time()):
            await self._take_lease(row)

    async def _take_lease(self, row: Row | None) -> None:
        remembered: dict[str, Remembered] = {}
        try:
            async with asyncio.timeout(LAST_STATES_S):
                remembered = await self._store.last_states(self._broker.engine.agents)
        except TimeoutError:
            _log.warning("last states of agents not read in time: logons decide", seconds=LAST_STATES_S)
        asked_at = self._loop.time()
        async with asyncio.timeout(RENEW_S):
            epoch = await self._store.take_lease(row)
        if epoch:
            self._election.took(epoch, asked_at)
            self._broker.lead(epoch, remembered, self._loop.time())
            self._announce(retain=True)
            self._plan_turn()
            _log.info("leads", epoch=epoch)

    async def _write_rows(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WRITE_DELAY_S):
                    await self._hurry.wait()
            self._hurry.clear()
            if self._election.leading and (self._activity or self._placements):
                await self._write_once()

    async def _write_once(self) -> None:
        activity, self._activity = self._activity, []
        placements, self._placements = self._placements, {}
        try:
            await self._store.write(placements, activity, self._election.epoch)
        except (SQLAlchemyError, OSError) as error:
            self._activity = activity + self._activity
            self._placements = placements | self._placements
            self._say("rows not written, kept", error)
        else:
            self._say("rows not written, kept", None)

    def _say(self, problem: str, error: Exception | None) -> None:
        """Log a trouble with the store when it begins and when it is over."""
        if error is not None and problem not in self._troubles:
            _log.warning(problem, error=str(error)[:200] or type(error).__name__)
            self._troubles.add(problem)
        elif error is None and problem in self._troubles:
            _log.info("over: " + problem)
            self._troubles.discard(problem)

    # HTTP.

    async def _calls_of_nodes(self, authorization: str) -> list[msgspec.Raw]:
        headers = {"Authorization": authorization}
        nodes = [node for node in self._broker.cluster.nodes.values() if node.state != "down"]
        timeout = aiohttp.ClientTimeout(total=NODE_TIMEOUT_S)
        found: list[msgspec.Raw] = []
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
            for node in nodes:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError, msgspec.DecodeError):
                    async with session.get(f"http://{node.presence.http}/v1/calls") as answer:
                        found += msgspec.json.decode(await answer.read(), type=list[msgspec.Raw])
        return found

    def health(self) -> Health:
        """Ready, leading or standing by, when bus and store are there and somebody leads."""
        waiting = []
        if not self._bus.connected:
            waiting.append("bus")
        if not self._store_ready:
            waiting.append("store")
        elif not self._election.leader:
            waiting.append("leader")
        return Health(waiting, self._lifecycle.draining.is_set())

    async def main(self) -> int:
        """Run until stopped."""
        http = self._settings.http
        app = make_app(health=self.health, registry=self._registry)
        api = Api(self._broker, self._loop.time, self._person_acted, self._calls_of_nodes)
        add_routes(app, api, self._broker, TokenStore.from_file(http.tokens_file))
        try:
            runner = await start_http(app, http.host, http.port)
        except OSError as error:
            _log.error("cannot listen", error=str(error))
            return 1
        self._subscribe()
        self._bus.start()
        jobs = (("elect", self._elect()), ("heartbeat", self._heartbeats()), ("rows", self._write_rows()))
        tasks = [self._loop.create_task(job, name=name) for name, job in jobs]
        self._turn()
        settle_collector()
        _log.info("started", http=f"{http.host}:{http.port}")
        await self._lifecycle.draining.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._election.leading and self._store_ready:
            await self._write_once()
        self._alarm.cancel()
        await self._bus.stop()
        await runner.cleanup()
        await self._sql.dispose()
        return 0


def main() -> None:
    """Entry point of `opentas-agentbroker`."""
    parser = argparse.ArgumentParser(description="OpenTAS agent broker")
    parser.add_argument("--config", type=Path, required=True, help="agentbroker.toml")
    arguments = parser.parse_args()
    try:
        config = load_config(arguments.config)
    except ConfigError as error:
        sys.exit(str(error))
    configure_logs(process="agentbroker", node=config.settings.node, level=config.settings.log.level)

    async def process(lifecycle: Lifecycle) -> int:
        return await BrokerProcess(config, lifecycle).main()

    sys.exit(run(process))


if __name__ == "__main__":
    main()
