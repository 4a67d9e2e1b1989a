"""The trace of a lab: one stream a node, joined; lines for people, JSON for programs, a capture file for Wireshark."""

from __future__ import annotations

import contextlib
import http.client
import queue
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final
from urllib.parse import urlencode

import msgspec

from common.contracts.trace import TraceLine, TraceLost, TraceMessage
from common.contracts.wire import FAULTS
from tasctl import pcap
from tasctl.client import ApiError, refusal
from tasctl.text import printable

SILENCE_S: Final = 10.0
"""A node sends something every 2 s; after so long without, its stream is over."""
MAX_BEHIND: Final = 10_000
"""Lines kept while the terminal is slow; then the nodes wait, and count what they drop."""
RULE: Final = "─" * 100


def lines_of(url: str, token: str, wanted: dict[str, str], opened: Callable[[], None]) -> Iterator[TraceLine]:
    """What one node sends; calls `opened` once nothing more can escape; raises ApiError when it ends or refuses."""
    query = urlencode({key: value for key, value in wanted.items() if value})
    address = f"{url.rstrip('/')}/v1/trace" + (f"?{query}" if query else "")
    try:
        request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=SILENCE_S) as answer:
            for line in answer:
                if line.strip():
                    yield msgspec.json.decode(line, type=TraceLine)
                opened()
    except urllib.error.HTTPError as error:
        raise refusal(address, error) from error
    except http.client.IncompleteRead as error:  # the node stops: it does not wait for its readers
        raise ApiError(f"{address}: the node ended the trace") from error
    except FAULTS as error:
        raise ApiError(f"{address}: not a trace: {error}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ApiError(f"{address}: {getattr(error, 'reason', error) or type(error).__name__}") from error
    raise ApiError(f"{address}: the node ended the trace")


class LabTrace:
    """The streams of all nodes: threads that end with the process. Iterate until `count` messages or `seconds`."""

    def __init__(self, nodes: dict[str, str], token: str, wanted: dict[str, str]) -> None:
        self._queue: queue.Queue[TraceLine | ApiError] = queue.Queue(MAX_BEHIND)
        self._running = len(nodes)
        self._opened = threading.Semaphore(0)
        self._nodes = len(nodes)
        for url in nodes.values():
            threading.Thread(target=self._read, args=(url, token, wanted), daemon=True).start()

    def _read(self, url: str, token: str, wanted: dict[str, str]) -> None:
        first = [self._opened.release]

        def opened() -> None:
            while first:
                first.pop()()

        try:
            for line in lines_of(url, token, wanted, opened):
                self._queue.put(line)
        except ApiError as error:
            self._queue.put(error)
            opened()

    def wait_opened(self) -> None:
        """Until every node sends or has refused."""
        for _ in range(self._nodes):
            self._opened.acquire()

    def lines(self, count: int, seconds: float) -> Iterator[TraceLine | ApiError]:
        """What comes, in the order it comes, failures of a node included; 0 is no bound."""
        deadline = time.monotonic() + seconds if seconds else None
        seen = 0
        while self._running and not (count and seen >= count):
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return
            try:
                line = self._queue.get(timeout=min(left, 3600.0) if left is not None else 3600.0)
            except queue.Empty:
                continue
            self._running -= isinstance(line, ApiError)
            seen += isinstance(line, TraceMessage)
            yield line


class Capture:
    """A capture file, readable at any moment; "" writes none. Use as a context manager."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def __enter__(self) -> Capture:
        if self._path:
            self._file = Path(self._path).open("wb")
            self._write(pcap.file_header())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()

    def add(self, message: TraceMessage) -> None:
        """Write one message."""
        self._write(pcap.record(message))

    def _write(self, data: bytes) -> None:
        if self._file is not None:
            self._file.write(data)
            self._file.flush()


def human(line: TraceLine, *, full: bool) -> str:
    """A line, or the whole message under it: time, node, direction, peer, start line and CSeq, call."""
    if isinstance(line, TraceLost):
        return f"-- {printable(line.node)}: {line.count} messages lost: too slow to read them"
    text = line.payload.decode("utf-8", "replace")
    head, _, _ = text.partition("\r\n\r\n")
    first = printable(head.partition("\r\n")[0])
    if first.startswith("SIP/"):
        first += f" ({_cseq(head)})"
    arrow = "->" if line.sent else "<-"
    moment = time.strftime("%H:%M:%S", time.localtime(line.at)) + f".{int(line.at % 1 * 1000):03d}"
    call = printable(line.call_uid or line.call_id)
    parts = (moment, printable(line.node), arrow, f"{printable(line.transport)} {printable(line.peer):21}", first, call)
    short = "  ".join(parts)
    if not full:
        return short
    body = "\n".join(printable(each) for each in text.rstrip("\r\n").split("\r\n"))
    cut = f"\n… and {line.cut} bytes more" if line.cut else ""
    return f"{RULE}\n{short}\n\n{body}{cut}\n"


def _cseq(head: str) -> str:
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "cseq":
            return printable(value.split()[-1]) if value.split() else ""
    return ""
