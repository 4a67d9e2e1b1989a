"""A private PostgreSQL cluster: made by initdb, run as an ordinary user, stopped by pid."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import asyncpg

from tests.integration.support.ports import free_port

USER = "opentas"
UNPRIVILEGED = ("postgres", "nobody")
"""PostgreSQL refuses to run as root: as root the first of these that exists runs it."""
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 20.0


def find_binaries() -> Path | None:
    """Folder of initdb and postgres: the newest Debian version, else what is on PATH."""
    debian = Path("/usr/lib/postgresql")
    versions = sorted(debian.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if versions:
        return versions[-1].parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


class Postgres:
    """One cluster on 127.0.0.1; a password is asked for, as in earnest."""

    def __init__(self, binaries: Path) -> None:
        self.port = free_port()
        self.password = secrets.token_urlsafe(12)
        self._binaries = binaries
        self._folder = Path(tempfile.mkdtemp(prefix="opentas-pg-"))  # pytest's own folders are closed to other users
        self._data = self._folder / "data"
        self._user = next((name for name in UNPRIVILEGED if _exists(name)), None) if os.getuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """Make the cluster."""
        password_file = self._folder / "password"
        password_file.write_text(self.password + "\n")
        if self._user is not None:
            shutil.chown(self._folder, self._user)
            shutil.chown(password_file, self._user)
        options = [f"--pwfile={password_file}", "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync"]
        made = subprocess.run(
            [self._binaries / "initdb", "-D", self._data, "-U", USER, *options],
            cwd=self._folder,
            user=self._user,
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stderr

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "", "fsync": "off"}
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self._data, *arguments],
                cwd=self._folder,
                user=self._user,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while subprocess.run(
            [self._binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False
        ).returncode:
            assert self._process.poll() is None, (self._folder / "postgres.log").read_text()
            assert time.monotonic() < deadline, "PostgreSQL does not answer"
            time.sleep(0.05)

    def stop(self) -> None:
        """Break all connections and end at once (immediate shutdown: what a power cut leaves)."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGQUIT)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise

    def remove(self) -> None:
        """Stop and delete everything."""
        self.stop()
        shutil.rmtree(self._folder)

    def url(self, database: str) -> str:
        """The store url of a database."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    async def create_database(self) -> str:
        """A new, empty database; its store url."""
        name = f"t{secrets.token_hex(6)}"
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            await connection.execute(f"CREATE DATABASE {name}")
        finally:
            await connection.close()
        return self.url(name)


def _exists(user: str) -> bool:
    import pwd

    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
