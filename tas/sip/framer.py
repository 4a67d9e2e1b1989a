"""Messages out of a byte stream (RFC 3261 §18.3): each one ends where its Content-Length says.

A framing error is final. Once a header block cannot be read, where the next message begins is anybody's guess, so
the framer hands out one SipParseError and then ignores the stream; the owner answers, if it can, and closes.
"""

from typing import Final

from tas.sip.message import Request, Response
from tas.sip.parser import MAX_BODY_BYTES, MAX_HEADER_BYTES, SipParseError, parse_head, rejection

__all__ = ["MAX_BODY_BYTES", "MAX_HEADER_BYTES", "Item", "Ping", "StreamFramer"]

END: Final = b"\r\n\r\n"
BREAKS: Final = (b"\r", b"\n")


class Ping:
    """The CRLFCRLF keepalive of RFC 5626 §3.5.1; the owner answers with CRLF."""

    __slots__ = ()


Item = Request | Response | Ping | SipParseError

PING: Final = Ping()


class StreamFramer:
    """Cuts one connection's bytes into messages."""

    __slots__ = ("_awaited", "_buffer", "_message", "_scanned", "broken")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0  # bytes of the buffer already searched for the end of the headers
        self._message: Request | Response | None = None  # headers read, body awaited
        self._awaited = 0
        self.broken = False

    @property
    def pending(self) -> int:
        """Bytes held back for a message that is not complete."""
        return len(self._buffer)

    def feed(self, data: bytes | memoryview) -> list[Item]:
        """Take what arrived and return what it completed."""
        items: list[Item] = []
        if self.broken:
            return items
        self._buffer += data
        try:
            while self._step(items):
                pass
        except SipParseError as error:
            self.broken = True
            self._message = None
            self._buffer.clear()
            items.append(error)
        return items

    def _step(self, items: list[Item]) -> bool:
        """One message or keepalive; False when more bytes are needed."""
        if self._message is not None:
            return self._take_body(self._message, items)
        if self._buffer.startswith(BREAKS):
            return self._take_keepalive(items)
        return self._take_head()

    def _take_keepalive(self, items: list[Item]) -> bool:
        buffer = self._buffer
        length = len(buffer) - len(buffer.lstrip(b"\r\n"))
        only_breaks = length == len(buffer)
        pings = length // 4
        if pings and not (items and items[-1] is PING):
            items.append(PING)
        # A CR LF that may be half of a ping stays until the rest is there.
        del buffer[: pings * 4 if only_breaks else length]
        return not only_breaks

    def _take_head(self) -> bool:
        buffer = self._buffer
        # The end mark may straddle two feeds; what was searched before is not searched again.
        end = buffer.find(END, max(0, self._scanned - 3))
        if end < 0:
            self._scanned = len(buffer)
            if len(buffer) > MAX_HEADER_BYTES:
                raise SipParseError(513, "Message header too large")
            return False
        self._scanned = 0
        head = bytes(buffer[: end + 4])
        message, length = parse_head(head[:end])
        if length is None:
            # RFC 3261 §18.3: mandatory on streams; without it the next message cannot be found.
            raise rejection(message, 400, "Missing Content-Length")
        if length > MAX_BODY_BYTES:
            raise rejection(message, 513, "Message body too large")
        del buffer[: end + 4]
        message.wire = head
        self._message = message
        self._awaited = length
        return True

    def _take_body(self, message: Request | Response, items: list[Item]) -> bool:
        if len(self._buffer) < self._awaited:
            return False
        if self._awaited:
            message.body = bytes(self._buffer[: self._awaited])
            message.wire += message.body
            del self._buffer[: self._awaited]
        self._message = None
        items.append(message)
        return True
