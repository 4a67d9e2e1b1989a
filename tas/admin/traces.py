"""What a node tells of its SIP messages: those kept of a call, and all of them as they pass to those who ask."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Final, NamedTuple, Protocol

from common.contracts.calls import CallView
from common.contracts.trace import TraceLine, TraceLost, TraceMessage
from tas.sip.flow import Address
from tas.sip.grammar import SipSyntaxError
from tas.sip.headers import parse_name_addr
from tas.sip.message import Request, Response
from tas.sip.parser import SipParseError, parse_head
from tas.sip.trace import Entry, MessageTrace, Traced, blank_secrets

MAX_READERS: Final = 8
MAX_WAITING: Final = 2_000
"""Messages a reader may be behind: 0.3 s of a node at 500 calls/s."""
MAX_WAITING_BYTES: Final = 4 * 2**20
CACHED_CALL_IDS: Final = 10_000
CALL_METHODS: Final = frozenset((b"INVITE", b"ACK", b"BYE", b"CANCEL", b"PRACK", b"UPDATE", b"INFO", b"REFER"))


class CallName(NamedTuple):
    """What a filter can ask of the call a message belongs to."""

    uid: str
    caller: str
    called: str


class Calls(Protocol):
    """Where calls are looked up: the View."""

    def call_view(self, call_uid: str) -> CallView | None:
        """A living call, or one that ended lately."""

    def call_names(self) -> Iterator[tuple[str, CallName]]:
        """(SIP Call-ID, name) of the legs of all calls that are known."""


class TraceFilter(NamedTuple):
    """What a reader wants; empty means all. `number` may hold * and ?, `methods` are those of CSeq."""

    number: str = ""
    call: str = ""
    methods: frozenset[bytes] = frozenset()

    def passes(self, call_id: str, name: CallName | None, message: Request | Response | None) -> bool:
        """Whether a message is wanted; `message` has its headers, None when they cannot be read."""
        if self.methods and (message is None or _method(message) not in self.methods):
            return False
        if self.call and self.call != call_id and (name is None or self.call != name.uid):
            return False
        return not self.number or any(fnmatchcase(number, self.number) for number in _numbers(name, message))


def _method(message: Request | Response) -> bytes:
    try:
        return message.cseq_method
    except SipSyntaxError:
        return b""


def _numbers(call: CallName | None, message: Request | Response | None) -> Iterator[str]:
    """Caller and called of the call, and the user parts of what the message is from and for."""
    if call is not None:
        yield from (call.caller, call.called)
    if message is None:
        return
    for name in (b"from", b"to"):
        try:
            uri = parse_name_addr(message.get(name) or b"").parsed_uri()
        except SipSyntaxError:
            continue
        yield (uri.user or b"").decode("utf-8", "replace")


class _Gap:
    """Stands where messages are missing."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class TraceReader:
    """One who reads along. What it is behind is bounded; what does not fit is counted and told."""

    def __init__(self, traces: Traces, wanted: TraceFilter, ready: Callable[[], None]) -> None:
        """`ready` is called when there is something to take."""
        self._traces = traces
        self._wanted = wanted
        self._ready = ready
        self._waiting: deque[tuple[bytes, Entry] | _Gap] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def tap(self, call_id: bytes, entry: Entry) -> None:
        """See tas.sip.trace.Tap. The filter runs in `take`: by then the node knows whose call an INVITE is."""
        if len(self._waiting) >= MAX_WAITING or self._bytes + entry[5] > MAX_WAITING_BYTES:
            self._miss()
        else:
            self._waiting.append((call_id, entry))
            self._bytes += entry[5]
        if len(self._waiting) == 1:
            self._ready()

    def _miss(self) -> None:
        last = self._waiting[-1] if self._waiting else None
        if not isinstance(last, _Gap):
            last = _Gap()
            self._waiting.append(last)
        last.count += 1

    def take(self, limit: int) -> list[TraceLine]:
        """The next lines, out of at most `limit` messages; what was lost is told where it is missing."""
        lines: list[TraceLine] = []
        self._traces.begin_batch()
        for _ in range(min(limit, len(self._waiting))):
            item = self._waiting.popleft()
            if isinstance(item, _Gap):
                lines.append(TraceLost(self._traces.node, item.count))
                continue
            call_id, entry = item
            self._bytes -= entry[5]
            line = self._traces.line(call_id, entry, self._wanted)
            if line is not None:
                lines.append(line)
        return lines


class Traces:
    """All of it, of one node."""

    def __init__(
        self,
        node: str,
        trace: MessageTrace,
        calls: Calls,
        *,
        local: Callable[[str], Address],
        wall: Callable[[float], float],
    ) -> None:
        """`local` gives the node's address on a transport, `wall` the Unix time of a moment of the node's clock."""
        self.node = node
        self._trace = trace
        self._calls = calls
        self._local = local
        self._wall = wall
        self._names: dict[str, CallName] = {}
        self._looked = False
        self.readers: list[TraceReader] = []

    def messages(self, call_uid: str) -> list[TraceMessage] | None:
        """What is kept of a call's legs, by time; None when there is no such call."""
        call = self._calls.call_view(call_uid)
        if call is None:
            return None
        kept = [(traced, leg.sip_call_id) for leg in call.legs for traced in self._trace.get(leg.sip_call_id.encode())]
        kept.sort(key=lambda pair: pair[0].at)
        return [self._show(traced, call_id, call_uid) for traced, call_id in kept]

    def open_reader(self, wanted: TraceFilter, ready: Callable[[], None]) -> TraceReader | None:
        """Read along from now on; None when too many do."""
        if len(self.readers) >= MAX_READERS:
            return None
        reader = TraceReader(self, wanted, ready)
        self.readers.append(reader)
        self._trace.add_tap(reader.tap)
        return reader

    def close_reader(self, reader: TraceReader) -> None:
        """No more; with the last one tracing costs nothing again."""
        self.readers.remove(reader)
        self._trace.remove_tap(reader.tap)
        if not self.readers:
            self._names.clear()

    # For readers.

    def begin_batch(self) -> None:
        """Calls may be looked for again, once."""
        self._looked = False

    def line(self, call_id: bytes, entry: Entry, wanted: TraceFilter) -> TraceMessage | None:
        """A message as a reader gets it; None when it does not want it."""
        message = _head(entry[4])
        shown_id = call_id.decode("utf-8", "replace")
        name = self._names.get(shown_id)
        if name is None and message is not None and _method(message) in CALL_METHODS:
            self._look_for_calls()
            name = self._names.get(shown_id)
        if not wanted.passes(shown_id, name, message):
            return None
        return self._show(Traced(entry), shown_id, "" if name is None else name.uid)

    def _look_for_calls(self) -> None:
        if self._looked:
            return
        self._looked = True
        if len(self._names) > CACHED_CALL_IDS:
            self._names.clear()
        self._names.update(self._calls.call_names())

    def _show(self, traced: Traced, call_id: str, call_uid: str) -> TraceMessage:
        data = blank_secrets(traced.data)
        try:
            text, data = data.decode(), b""
        except UnicodeDecodeError:
            text = ""
        return TraceMessage(
            at=round(self._wall(traced.at), 6),
            node=self.node,
            sent=traced.sent,
            transport=traced.transport,
            local=_shown(self._local(traced.transport)),
            peer=_shown(traced.peer),
            call_id=call_id,
            text=text,
            data=data,
            call_uid=call_uid,
            cut=traced.size - len(traced.data),
        )


def _head(data: bytes) -> Request | Response | None:
    try:
        return parse_head(data.partition(b"\r\n\r\n")[0])[0]
    except SipParseError:
        return None


def _shown(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
