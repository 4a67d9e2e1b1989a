"""The bus over MQTT 3.1.1 by aiomqtt: a new Client for every connection, a bounded outbox in front of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

import aiomqtt
import msgspec

from common.contracts.envelopes import Envelope, Presence
from common.service.bus.protocol import Handler, Sealer, matches, open_envelope
from common.service.logs import get_logger

OUTBOX_LIMIT: Final = 10_000
"""Messages that may wait for the connection's turn; beyond it the oldest are dropped and counted."""
BACKOFF_S: Final = (0.2, 0.5, 1.0, 2.0)
KEEPALIVE_S: Final = 5
CONNECT_TIMEOUT_S: Final = 5.0

_log = get_logger("bus")


class MqttBus:
    """One process's connection to the bus; reconnects for ever, says so once per loss."""

    def __init__(
        self, url: str, node: str, incarnation: str, *, last_will: tuple[str, Presence] | None = None
    ) -> None:
        """`url` is mqtt://user:password@host:port. Raises ValueError for another scheme."""
        parts = urlsplit(url)
        if parts.scheme != "mqtt" or parts.hostname is None:
            raise ValueError("bus url must be mqtt://[user:password@]host[:port]")
        self.node = node
        self.incarnation = incarnation
        self.connected = False
        self.dropped = 0
        self._where = (parts.hostname, parts.port or 1883, parts.username, parts.password)
        self._last_will = last_will
        self._sealer = Sealer(node, incarnation)
        self._outbox: deque[tuple[str, bytes, bool]] = deque()
        self._wake = asyncio.Event()
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
        if len(self._outbox) >= OUTBOX_LIMIT:
            self._outbox.popleft()
            self.dropped += 1
        self._outbox.append((topic, payload, retain))
        self._wake.set()

    def subscribe(self, pattern: str, handler: Handler) -> None:
        """See Bus.subscribe; subscribe before start()."""
        self._subscriptions.append((pattern, handler))

    def on_connection(self, handler: Callable[[bool], None]) -> None:
        """See Bus.on_connection."""
        self._listeners.append(handler)

    def start(self) -> None:
        """Begin to connect."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="bus")

    async def stop(self) -> None:
        """Send what waits (briefly) and disconnect."""
        if self._task is None:
            return
        deadline = asyncio.get_running_loop().time() + 0.5
        while self.connected and self._outbox and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = None

    async def _run(self) -> None:
        attempt = 0
        while True:
            try:
                async with self._client() as client:
                    attempt = 0
                    await self._serve(client)
            except aiomqtt.MqttError as error:
                if self.connected or attempt == 0:
                    _log.warning("bus not reachable, trying again", url=f"{self._where[0]}:{self._where[1]}", error=str(error))
            finally:
                self._set_connected(False)
            await asyncio.sleep(BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)])
            attempt += 1

    def _client(self) -> aiomqtt.Client:
        host, port, user, password = self._where
        will = None
        if self._last_will is not None:
            topic, presence = self._last_will
            payload = msgspec.json.encode(
                Envelope(self.node, self.incarnation, 0, msgspec.Raw(msgspec.json.encode(presence)))
            )
            will = aiomqtt.Will(topic, payload, qos=0, retain=True)
        return aiomqtt.Client(
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
            queue_type=self._inbox_type(),
        )

    def _inbox_type(self) -> type[asyncio.Queue[aiomqtt.Message]]:
        """A queue that hands each message on at once: the iterator of aiomqtt costs two tasks a message."""
        received = self._received

        class Inbox(asyncio.Queue[aiomqtt.Message]):
            def put_nowait(self, item: aiomqtt.Message) -> None:
                received(item)

        return Inbox

    async def _serve(self, client: aiomqtt.Client) -> None:
        for pattern, _ in self._subscriptions:
            await client.subscribe(pattern)
        sender = asyncio.get_running_loop().create_task(self._send(client), name="bus-send")
        try:
            self._set_connected(True)
            async for _ in client.messages:  # only ends, by MqttError, when the connection does
                pass
        finally:
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError, aiomqtt.MqttError):
                await sender

    async def _send(self, client: aiomqtt.Client) -> None:
        while True:
            while self._outbox:
                topic, payload, retain = self._outbox[0]
                await client.publish(topic, payload, qos=0, retain=retain)
                if self._outbox:
                    self._outbox.popleft()
            self._wake.clear()
            await self._wake.wait()

    def _set_connected(self, connected: bool) -> None:
        if connected == self.connected:
            return
        self.connected = connected
        _log.info("bus connected" if connected else "bus lost")
        for listener in self._listeners:
            listener(connected)

    def _received(self, message: aiomqtt.Message) -> None:
        payload = message.payload if isinstance(message.payload, bytes) else b""
        envelope = open_envelope(payload) if payload else None
        if payload and envelope is None:
            _log.warning("not an envelope, dropped", topic=message.topic.value)
            return
        topic = message.topic.value
        for pattern, handler in self._subscriptions:
            if matches(pattern, topic):
                handler(topic, envelope)
