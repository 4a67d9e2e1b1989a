"""The bus over MQTT 3.1.1 by aiomqtt: a new Client for every connection, a bounded outbox in front of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote, urlsplit

import aiomqtt
import msgspec

from common.contracts.envelopes import Envelope, Presence
from common.service.bus.aio.client import DirectClient
from common.service.bus.protocol import MAX_PAYLOAD_BYTES, Handler, Sealer, matches, open_envelope
from common.service.logs import get_logger
from common.service.urls import check_bus_url

OUTBOX_LIMIT: Final = 10_000
"""Messages that may wait for the connection's turn; beyond it the oldest are dropped and counted."""
BACKOFF_S: Final = (0.2, 0.5, 1.0, 2.0)
KEEPALIVE_S: Final = 5
CONNECT_TIMEOUT_S: Final = 5.0
BURST: Final = 256
"""Messages given to the socket in one turn of the loop."""
CONGESTED_RETRY_S: Final = 0.01
STOP_FLUSH_S: Final = 0.5

_log = get_logger("bus")


class MqttBus:
    """One process's connection to the bus; reconnects for ever, says so once per loss."""

    def __init__(self, url: str, node: str, incarnation: str, *, last_will: tuple[str, Presence] | None = None) -> None:
        """`url` is mqtt://user:password@host:port. Raises ValueError for another scheme."""
        parts = urlsplit(check_bus_url(url))
        self.node = node
        self.incarnation = incarnation
        self.connected = False
        self.dropped = 0
        user, password = (None if part is None else unquote(part) for part in (parts.username, parts.password))
        self._where = (parts.hostname or "", parts.port or 1883, user, password)
        self._last_will = last_will
        self._sealer = Sealer(node, incarnation)
        self._outbox: deque[tuple[str, bytes, bool]] = deque()
        self._flush_planned = False
        self._stopping = False
        self._client: DirectClient | None = None
        self._subscriptions: list[tuple[str, Handler]] = []
        self._listeners: list[Callable[[bool], None]] = []
        self._task: asyncio.Task[None] | None = None

    def publish(self, topic: str, body: object, *, retain: bool = False, epoch: int = 0) -> None:
        """See Bus.publish."""
        payload = self._sealer.seal(topic, body, epoch)
        if self.connected or retain:
            self._put(topic, payload, retain)

    def clear(self, topic: str) -> None:
        """See Bus.clear."""
        self._put(topic, b"", True)

    def _put(self, topic: str, payload: bytes, retain: bool) -> None:
        if len(payload) > MAX_PAYLOAD_BYTES:
            self.dropped += 1
            _log.error("message too large, dropped", topic=topic, bytes=len(payload), limit=MAX_PAYLOAD_BYTES)
            return
        if len(self._outbox) >= OUTBOX_LIMIT:
            self._outbox.popleft()
            self.dropped += 1
        self._outbox.append((topic, payload, retain))
        if self._client is not None and not self._flush_planned:
            self._flush_planned = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_planned = False
        client = self._client
        if client is None or not self._outbox:
            return
        loop = asyncio.get_running_loop()
        self._flush_planned = True
        if client.congested:
            loop.call_later(CONGESTED_RETRY_S, self._flush)
            return
        for _ in range(min(len(self._outbox), BURST)):
            client.push(*self._outbox.popleft())
        loop.call_soon(self._flush)

    def subscribe(self, pattern: str, handler: Handler) -> None:
        """See Bus.subscribe; before start()."""
        if self._task is not None:
            raise RuntimeError("subscribe before start()")
        self._subscriptions.append((pattern, handler))

    def on_connection(self, handler: Callable[[bool], None]) -> None:
        """See Bus.on_connection."""
        self._listeners.append(handler)

    def start(self) -> None:
        """Begin to connect."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="bus")

    async def stop(self) -> None:
        """Send what waits (for STOP_FLUSH_S at most), say the last will ourselves and disconnect."""
        task, self._task = self._task, None
        if task is None:
            return
        self._stopping = True
        if (
            self._last_will is not None and self.connected
        ):  # the broker discards a will at DISCONNECT (MQTT 3.1.1, 3.14.4)
            self._put(self._last_will[0], self._sealed_will(self._last_will[1]), True)
        rounds = int(STOP_FLUSH_S / CONGESTED_RETRY_S)
        for _ in range(rounds):
            if not self.connected or not (self._outbox or self._flush_planned):
                break
            await asyncio.sleep(CONGESTED_RETRY_S)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _run(self) -> None:
        attempt = 0
        while not self._stopping:
            try:
                async with self._make_client() as client:
                    attempt = 0
                    await self._serve(client)
            except aiomqtt.MqttError as error:
                if attempt == 0:
                    where = f"{self._where[0]}:{self._where[1]}"
                    _log.warning("bus not reachable, trying again", address=where, error=str(error))
            finally:
                self._client = None
                self._set_connected(False)
            await asyncio.sleep(BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)])
            attempt += 1

    def _make_client(self) -> DirectClient:
        host, port, user, password = self._where
        will = None
        if self._last_will is not None:
            topic, presence = self._last_will
            will = aiomqtt.Will(topic, self._sealed_will(presence), qos=0, retain=True)
        return DirectClient(
            self._received,
            hostname=host,
            port=port,
            username=user,
            password=password,
            identifier=f"{self.node}-{self.incarnation}",
            protocol=aiomqtt.ProtocolVersion.V311,
            clean_session=True,
            keepalive=KEEPALIVE_S,
            timeout=CONNECT_TIMEOUT_S,
            will=will,
        )

    def _sealed_will(self, presence: Presence) -> bytes:
        body = msgspec.Raw(msgspec.json.encode(presence))
        return msgspec.json.encode(Envelope(self.node, self.incarnation, 0, body))

    async def _serve(self, client: DirectClient) -> None:
        for pattern, _ in self._subscriptions:
            await client.subscribe(pattern)
        self._client = client
        self._set_connected(True)
        self._flush()
        async for _ in client.messages:  # yields nothing: DirectClient hands on; ends by MqttError with the connection
            pass

    def _set_connected(self, connected: bool) -> None:
        if connected == self.connected:
            return
        self.connected = connected
        if (
            not connected
        ):  # what was said before the loss is stale when the bus is back: an Offer rings nobody a minute late
            self._outbox = deque(message for message in self._outbox if message[2])
        _log.info("bus connected" if connected else "bus lost")
        for listener in self._listeners:
            try:
                listener(connected)
            except Exception:  # as in _received
                _log.exception("connection handler failed", connected=connected)

    def _received(self, topic: str, payload: bytes) -> None:
        envelope = open_envelope(payload) if payload else None
        if payload and envelope is None:
            _log.warning("not an envelope, dropped", topic=topic)
            return
        for pattern, handler in self._subscriptions:
            if matches(pattern, topic):
                try:
                    handler(topic, envelope)
                except Exception:  # a fault in one room must not cut the whole process off the bus
                    _log.exception("handler failed", topic=topic)
