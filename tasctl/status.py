"""Readiness of every process of the lab."""

from __future__ import annotations

import msgspec

from tasctl.client import ApiError, ask
from tasctl.lab_file import LabFile, Process, is_alive


class ProcessStatus(msgspec.Struct, frozen=True):
    """One process as `tasctl status` shows it."""

    name: str
    role: str
    pid: int
    url: str
    ready: bool
    waiting_for: list[str]
    draining: bool = False
    error: str = ""
    sip_core: str = ""
    """compiled or pure, of a TAS."""


class LabStatus(msgspec.Struct, frozen=True):
    """The whole lab; `ready` only when every process is."""

    ready: bool
    processes: list[ProcessStatus]


def lab_status(lab: LabFile) -> LabStatus:
    """Ask every process of the lab."""
    found = [process_status(process) for process in lab.processes]
    return LabStatus(bool(found) and all(status.ready for status in found), found)


def url_status(url: str) -> LabStatus:
    """Ask one process by its address."""
    status = process_status(Process(name="-", role="-", pid=0, url=url))
    return LabStatus(status.ready, [status])


def process_status(process: Process) -> ProcessStatus:
    """Ask a process's /readyz; the bus has none and counts as ready while it is alive."""
    name, role, pid, url = process.name, process.role, process.pid, process.url
    if not url:
        alive = is_alive(pid)
        return ProcessStatus(name, role, pid, url, alive, [], error="" if alive else "not running")
    try:
        status, body = ask(url, "/readyz", "", accept=(503,))
    except ApiError as error:
        return ProcessStatus(name, role, pid, url, False, [], error=str(error))
    fields = body if isinstance(body, dict) else {}
    waiting, draining = list(fields.get("waiting_for", [])), bool(fields.get("draining", False))
    core = str(fields.get("sip_core", ""))
    return ProcessStatus(name, role, pid, url, status == 200, waiting, draining, sip_core=core)
