"""The last messages of each call, for the ladder: who sent which start line, when. Bounded on both axes."""

from collections import OrderedDict
from typing import Final

from tas.sip.flow import Address, Flow
from tas.sip.message import Request, Response

MAX_CALLS: Final = 2_000
"""Call-IDs kept: the calls of the last minutes at full load, about 8 MB."""
MAX_MESSAGES: Final = 64
"""Messages kept per Call-ID: a call with holds and transfers needs about 40; the first ones matter most."""


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
        self._calls: OrderedDict[bytes, list[tuple[float, bool, Address, bytes, bytes]]] = OrderedDict()

    def record(self, call_id: bytes, now: float, sent: bool, peer: Address, data: bytes) -> None:
        """Keep the start line and CSeq of a message."""
        start = data.find(b"\r\nCSeq:")
        cseq = data[start + 7 : data.find(b"\r\n", start + 7)] if start >= 0 else b""
        self.add(call_id, now, sent, peer, data[: data.find(b"\r\n")], cseq)

    def add_message(self, message: Request | Response, flow: Flow, now: float) -> None:
        """Keep the start line and CSeq of a received message."""
        if isinstance(message, Request):
            line = b"%b %b SIP/2.0" % (message.method, message.uri)
        else:
            line = b"SIP/2.0 %d %b" % (message.status, message.reason)
        self.add(message.call_id, now, False, flow.remote, line, message.get(b"cseq") or b"")

    def add(self, call_id: bytes, now: float, sent: bool, peer: Address, line: bytes, cseq: bytes) -> None:
        """Keep one message whose parts are at hand."""
        messages = self._calls.get(call_id)
        if messages is None:
            if len(self._calls) >= MAX_CALLS:
                self._calls.popitem(last=False)
            messages = self._calls[call_id] = []
        if len(messages) < MAX_MESSAGES:
            messages.append((now, sent, peer, line, cseq))

    def get(self, call_id: bytes) -> list[Traced]:
        """The messages of a call in order, empty when it is unknown or was dropped."""
        return [
            Traced(at, sent, peer, line, cseq.strip()) for at, sent, peer, line, cseq in self._calls.get(call_id, ())
        ]

    def __len__(self) -> int:
        return len(self._calls)
