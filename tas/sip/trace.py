"""The last messages of each call, for the ladder: who sent which start line, when. Bounded on both axes."""

from collections import OrderedDict
from typing import Final

from tas.sip.flow import Address, Flow
from tas.sip.message import Request, Response

MAX_CALLS: Final = 2_000
"""Call-IDs kept: the calls of the last minutes at full load, about 8 MB."""
MAX_MESSAGES: Final = 64
"""Messages kept per Call-ID: a call with holds and transfers needs about 40; the first ones matter most."""


StartLine = bytes | tuple[bytes | int, bytes]
"""As sent, or the parts of a received one: joined only when somebody looks."""
Entry = tuple[float, bool, Address, StartLine, bytes | tuple[int, bytes]]


class Traced:
    """One message: `line` is its start line, `cseq` the value of its CSeq."""

    __slots__ = ("at", "cseq", "line", "peer", "sent")

    def __init__(self, at: float, sent: bool, peer: Address, line: bytes, cseq: bytes) -> None:
        self.at = at
        self.sent = sent
        self.peer = peer
        self.line = line
        self.cseq = cseq


class MessageTrace:
    """Start lines by Call-ID; the oldest call makes room for a new one."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls: OrderedDict[bytes, list[Entry]] = OrderedDict()

    def record(self, call_id: bytes, now: float, sent: bool, peer: Address, data: bytes) -> None:
        """Keep the start line and CSeq of a message."""
        end = data.find(b"\r\n")
        start = data.find(b"\r\nCSeq:", end)
        cseq = data[start + 7 : data.find(b"\r\n", start + 7)] if start >= 0 else b""
        self._add(call_id, (now, sent, peer, data[:end], cseq))

    def record_received(self, message: Request | Response, flow: Flow, now: float) -> None:
        """Keep the start line and CSeq of a received message."""
        cseq = (message.cseq, message.cseq_method)
        if isinstance(message, Request):
            self._add(message.call_id, (now, False, flow.remote, (message.method, message.uri), cseq))
        else:
            self._add(message.call_id, (now, False, flow.remote, (message.status, message.reason), cseq))

    def _add(self, call_id: bytes, entry: Entry) -> None:
        messages = self._calls.get(call_id)
        if messages is None:
            if len(self._calls) >= MAX_CALLS:
                self._calls.popitem(last=False)
            messages = self._calls[call_id] = []
        if len(messages) < MAX_MESSAGES:
            messages.append(entry)

    def get(self, call_id: bytes) -> list[Traced]:
        """The messages of a call in order, empty when it is unknown or was dropped."""
        return [_traced(entry) for entry in self._calls.get(call_id, ())]

    def __len__(self) -> int:
        return len(self._calls)


def _traced(entry: Entry) -> Traced:
    at, sent, peer, line, cseq = entry
    if isinstance(line, tuple):
        first, rest = line
        line = b"SIP/2.0 %d %b" % (first, rest) if isinstance(first, int) else b"%b %b SIP/2.0" % (first, rest)
    if isinstance(cseq, tuple):
        cseq = b"%d %b" % cseq
    return Traced(at, sent, peer, line, cseq.strip())
