"""aiomqtt's client with its costs per message taken out: no task, queue, self-pipe write or epoll change for each.

Only QoS 0 is used on this client, so nothing waits for a confirmation (ADR 3).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

import aiomqtt

Received = Callable[[str, bytes], None]

READS_PER_TURN: Final = 64
"""Packets taken in one turn of the loop before others get theirs."""


class DirectClient(aiomqtt.Client):
    """Hands each message to `received` from within the loop's read; `push` queues without waiting."""

    def __init__(self, received: Received, **options: Any) -> None:
        super().__init__(**options)
        self._hand_on = received
        self._thread_id = threading.get_ident()
        self._write_planned = False
        self._writer_added = False
        self._client.on_publish = None

    @property
    def congested(self) -> bool:
        """Whether the socket has not yet taken what was pushed."""
        return self._client.want_write()

    def push(self, topic: str, payload: bytes, retain: bool) -> None:
        """Queue one QoS 0 message; it is written later in this turn of the loop."""
        self._client.publish(topic, payload, 0, retain)

    def _on_message(self, client: Any, userdata: Any, message: Any) -> None:
        self._hand_on(message.topic, message.payload)

    def _on_socket_register_write(self, client: Any, userdata: Any, sock: Any) -> None:
        # paho writes CONNECT from the executor's thread: that goes aiomqtt's way.
        if threading.get_ident() != self._thread_id:
            self._writer_added = True
            super()._on_socket_register_write(client, userdata, sock)
        elif not self._write_planned:
            self._write_planned = True
            self._loop.call_soon(self._write, sock)

    def _write(self, sock: Any) -> None:
        try:
            self._client.loop_write()
        except OSError as error:
            if not self._disconnected.done():
                self._disconnected.set_exception(error)
        finally:
            self._write_planned = False
        if self._client.want_write() and sock.fileno() >= 0:
            self._writer_added = True
            super()._on_socket_register_write(self._client, None, sock)

    def _on_socket_unregister_write(self, client: Any, userdata: Any, sock: Any) -> None:
        if self._writer_added:
            self._writer_added = False
            super()._on_socket_unregister_write(client, userdata, sock)
