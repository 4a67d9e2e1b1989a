"""The messages of each call as they were on the wire, for `tasctl call`; and taps for whoever wants all of them now.

Only calls are kept: a Call-ID begins with an INVITE, so phones that register do not push calls out. Bounded per
message, per call and in total; when the total is reached the oldest call makes room.
"""

import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from tas.sip.flow import Address, Flow

DEFAULT_RING_BYTES: Final = 16 * 2**20
"""The calls of the last minutes at full load: a leg is 5 to 6 kB."""
MAX_CALL_BYTES: Final = 65_536
"""Kept per Call-ID, overheads included: a call with holds and transfers has about 40 messages of 1 kB."""
MAX_MESSAGE_BYTES: Final = 8_192
"""Kept of one message: twice an INVITE with a browser's SDP; what is cut off shows in `size`."""
MESSAGE_OVERHEAD: Final = 200
"""Bytes Python needs around a kept message."""
CALL_OVERHEAD: Final = 400
"""Bytes Python needs around the messages of a Call-ID."""

CSEQ: Final = re.compile(rb"\nCSeq[ \t]*:([^\r\n]*)", re.IGNORECASE)
SECRETS: Final = re.compile(
    rb"^((?:Proxy-)?Authorization)[ \t]*:[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*", re.IGNORECASE | re.MULTILINE
)
BLANKED: Final = rb"\1: (blanked)"

Entry = tuple[float, bool, str, Address, bytes, int]
"""Time, whether sent, transport, the peer, the bytes and how many they were on the wire. No object that lives: the
collector does not have to look at kept messages."""
Tap = Callable[[bytes, Entry], None]


class Traced:
    """One message: `line` is its start line, `cseq` the value of its CSeq."""

    __slots__ = ("at", "data", "peer", "sent", "size", "transport")

    def __init__(self, entry: Entry) -> None:
        self.at, self.sent, self.transport, self.peer, self.data, self.size = entry

    @property
    def line(self) -> bytes:
        """The start line."""
        return self.data.partition(b"\r\n")[0]

    @property
    def cseq(self) -> bytes:
        """Number and method; empty when there is none."""
        found = CSEQ.search(self.data)
        return b" ".join(found.group(1).split()) if found else b""


class _Kept:
    """What is kept of one Call-ID; `size` counts the overheads too."""

    __slots__ = ("entries", "size")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.size = CALL_OVERHEAD


class MessageTrace:
    """Messages by Call-ID, and the taps."""

    __slots__ = ("_calls", "_limit", "_tap", "_taps", "size")

    def __init__(self, ring_bytes: int = DEFAULT_RING_BYTES) -> None:
        self._calls: OrderedDict[bytes, _Kept] = OrderedDict()
        self._limit = ring_bytes
        self._taps: list[Tap] = []
        self._tap: Tap | None = None
        self.size = 0
        """Bytes kept, overheads included."""

    def record(self, call_id: bytes, now: float, sent: bool, flow: Flow, data: bytes) -> None:
        """A message was received or is to be sent."""
        size = len(data)
        entry = (now, sent, flow.transport, flow.remote, data, size)
        kept = self._calls.get(call_id)
        if kept is None and self._limit and data.startswith(b"INVITE "):
            kept = self._calls[call_id] = _Kept()
            self.size += CALL_OVERHEAD
        if kept is not None:
            if size > MAX_MESSAGE_BYTES:
                size = MAX_MESSAGE_BYTES
                kept.entries.append((*entry[:4], data[:size], entry[5]))
            else:
                kept.entries.append(entry)
            size += MESSAGE_OVERHEAD
            kept.size += size
            self.size += size
            if kept.size > MAX_CALL_BYTES or self.size > self._limit:
                self._make_room(kept, size)
        if self._tap is not None:
            self._tap(call_id, entry)

    def _make_room(self, kept: _Kept, size: int) -> None:
        if kept.size > MAX_CALL_BYTES:  # the first messages of a call matter most
            kept.entries.pop()
            kept.size -= size
            self.size -= size
        while self.size > self._limit:
            self.size -= self._calls.popitem(last=False)[1].size

    def get(self, call_id: bytes) -> list[Traced]:
        """The messages of a call in order, empty when it is unknown or was dropped."""
        kept = self._calls.get(call_id)
        return [] if kept is None else [Traced(entry) for entry in kept.entries]

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def taps(self) -> int:
        """How many listen."""
        return len(self._taps)

    def add_tap(self, tap: Tap) -> None:
        """Call `tap` with every message from now on; it must neither raise nor wait."""
        self._taps.append(tap)
        self._plug()

    def remove_tap(self, tap: Tap) -> None:
        """No more."""
        self._taps.remove(tap)
        self._plug()

    def _plug(self) -> None:
        taps = self._taps
        self._tap = self._fan_out if len(taps) > 1 else taps[0] if taps else None

    def _fan_out(self, call_id: bytes, entry: Entry) -> None:
        for tap in self._taps:
            tap(call_id, entry)


def blank_secrets(data: bytes) -> bytes:
    """The message without the values of Authorization and Proxy-Authorization."""
    head, separator, body = data.partition(b"\r\n\r\n")
    return SECRETS.sub(BLANKED, head) + separator + body
