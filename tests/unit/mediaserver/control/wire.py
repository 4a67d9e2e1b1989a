"""A TAS's side of a control link in tests: lines in, decoded lines out."""

from __future__ import annotations

import json
from typing import Any

from common.contracts.media import VERSION
from mediaserver.control.link import ControlLink
from mediaserver.engine import Engine
from mediaserver.server import MediaServer
from tests.unit.mediaserver.support import make_engine, make_sessions

TOKEN = "secret of both"


def make_server(engine: Engine | None = None, token: str = TOKEN) -> MediaServer:
    return MediaServer("media-1", "inc-1", token, make_sessions(engine or make_engine()))


class Wire:
    """One link."""

    def __init__(self, server: MediaServer) -> None:
        self.link = ControlLink(server)
        self.server = server
        server.links.append(self.link)
        self._next_id = 0

    def send(self, data: bytes) -> list[dict[str, Any]]:
        """Bytes as they are; what came back."""
        self.link.receive_data(data, 0.0)
        return self.read()

    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.link.take_sends().splitlines()]

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """A request and its only reply."""
        self._next_id += 1
        line = json.dumps({"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": params})
        replies = [message for message in self.send(line.encode() + b"\n") if "id" in message]
        assert [reply["id"] for reply in replies] == [self._next_id]
        return replies[0]

    def hello(self, node: str = "tas-1", **changes: Any) -> dict[str, Any]:
        return self.ask("hello", **({"version": VERSION, "node": node, "incarnation": "1", "token": TOKEN} | changes))
