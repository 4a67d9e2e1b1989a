"""Real MQTT brokers on a free port of 127.0.0.1: mosquitto of the distribution, and the embedded nats-server."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
from pathlib import Path
from typing import Protocol

from common.service.bus.aio.embedded import EmbeddedBusError, NatsServer, find_binary
from tests.integration.support.ports import free_port

MOSQUITTO = Path("/usr/sbin/mosquitto")
USER = "opentas"
START_TIMEOUT_S = 15.0


class MqttBroker(Protocol):
    """What the tests do with a broker."""

    @property
    def url(self) -> str:
        """The url for MqttBus."""

    @classmethod
    def missing(cls) -> str:
        """Why it cannot run here; empty when it can."""

    async def start(self) -> None:
        """Start, or start again on the same port, and wait until it accepts connections."""

    async def kill(self) -> None:
        """SIGKILL."""

    async def stop(self) -> None:
        """An orderly end."""


class Mosquitto:
    """Debian's mosquitto with a password file."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._port = free_port()
        self._password = secrets.token_urlsafe(12)
        self._process: asyncio.subprocess.Process | None = None
        passwords = folder / "passwords"
        subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, USER, self._password], check=True)
        lines = [f"listener {self._port} 127.0.0.1", "allow_anonymous false", f"password_file {passwords}"]
        if os.getuid() == 0:
            lines.append("user root")  # it would become another user, who cannot read the password file
        self._config = folder / "mosquitto.conf"
        self._config.write_text("\n".join(lines) + "\n")

    @classmethod
    def missing(cls) -> str:
        """See MqttBroker."""
        return "" if MOSQUITTO.exists() else "mosquitto is not installed (make setup installs it)"

    @property
    def url(self) -> str:
        """See MqttBroker."""
        return f"mqtt://{USER}:{self._password}@127.0.0.1:{self._port}"

    async def start(self) -> None:
        """See MqttBroker."""
        with (self._folder / "mosquitto.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                str(MOSQUITTO), "-c", str(self._config), stdout=log, stderr=log
            )
        async with asyncio.timeout(START_TIMEOUT_S):
            while not await self._accepts():
                assert self._process.returncode is None, (self._folder / "mosquitto.log").read_text()
                await asyncio.sleep(0.02)

    async def _accepts(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return False
        writer.close()
        return True

    async def kill(self) -> None:
        """See MqttBroker."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        """See MqttBroker."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()


class Nats(NatsServer):
    """The embedded bus, as the lab runs it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, host="127.0.0.1", port=free_port(), user=USER, password=secrets.token_urlsafe(12))

    @classmethod
    def missing(cls) -> str:
        """See MqttBroker."""
        try:
            find_binary()
        except EmbeddedBusError as error:
            return str(error)
        return ""

    async def kill(self) -> None:
        """See MqttBroker."""
        assert self.process is not None
        self.process.kill()
        await self.process.wait()
