"""lab.json: what the lab's supervisor says of the lab, and what tasctl finds it by."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

import msgspec

NAME: Final = "lab.json"
LOCK: Final = "lab.lock"
DEFAULT_VAR: Final = Path("var")


class Process(msgspec.Struct, frozen=True):
    """One process of the lab."""

    name: str
    role: str
    """bus | broker | media | tas"""
    pid: int
    url: str = ""
    """Its HTTP address; empty for the bus."""


class LabFile(msgspec.Struct, frozen=True):
    """The lab that runs on a var folder. The token is the operator's: the file's mode is 0600."""

    supervisor: int
    token: str
    processes: list[Process]
    bus: str = ""
    """host:port of the bus."""
    trunks: list[str] = []
    """host:port of each TAS's SIP."""

    def urls(self, role: str) -> list[str]:
        """HTTP addresses of all processes of a role, in order."""
        return [process.url for process in self.processes if process.role == role]


def var_folder() -> Path:
    """The run-time folder: LAB_VAR, else var/."""
    return Path(os.environ.get("LAB_VAR") or DEFAULT_VAR)


def read(var: Path) -> LabFile | None:
    """The lab that runs on a var folder; None when there is none, or only the file of one that was killed."""
    try:
        lab = msgspec.json.decode((var / NAME).read_bytes(), type=LabFile)
    except (OSError, msgspec.DecodeError):
        return None
    return lab if is_alive(lab.supervisor) else None


def is_alive(pid: int) -> bool:
    """Whether a process exists, whoever's it is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def hold(var: Path) -> int | None:
    """Claim a var folder for this process as long as it lives; None when another lab has it."""
    descriptor = os.open(var / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def write(var: Path, lab: LabFile) -> None:
    """Replace the file in one step."""
    write_private(var / NAME, msgspec.json.format(msgspec.json.encode(lab)))


def remove(var: Path) -> None:
    """The lab is over."""
    (var / NAME).unlink(missing_ok=True)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, in one step."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    part.replace(path)
