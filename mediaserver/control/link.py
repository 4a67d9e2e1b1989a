"""One TAS's control link: requests in, replies and notifications out. Sans-I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from common.contracts.media import (
    VERSION,
    Codec,
    DeleteResult,
    Empty,
    ErrorCode,
    Hello,
    HelloResult,
    SendDigits,
    ServerState,
    ServerStatus,
    SessionCreate,
    SessionCreated,
    SessionDelete,
    SessionDump,
    SessionModify,
)
from common.contracts.rpc import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    ProtocolError,
    RpcError,
    decode_line,
    encode_error,
    encode_request,
    encode_result,
)
from common.service.lines import LineSplitter, LineTooLong
from mediaserver.checks import SessionError
from mediaserver.engine import EngineBusy
from mediaserver.server import MediaServer

LAZY: Final = frozenset(("session.modify", "session.delete"))
"""Methods whose success nobody acts on at once."""
MAX_ID: Final = 2**63 - 1
MAX_NODE_NAME: Final = 64


class ControlLink:
    """What one connection may do; `node` is empty until its hello was accepted."""

    __slots__ = ("_buffer", "_lines", "_server", "close", "node", "urgent")

    def __init__(self, server: MediaServer) -> None:
        self._server = server
        self._lines = LineSplitter()
        self._buffer: list[bytes] = []
        self.node = ""
        self.close = False
        """The peer spoke nonsense or failed to introduce itself: drop it after the last reply."""
        self.urgent = False
        """Something waits that the TAS waits for; a success of LAZY methods alone may wait for company."""

    def receive_data(self, data: bytes, now: float) -> None:
        """Bytes from the TAS."""
        try:
            for line in self._lines.feed(data):
                if self.close:
                    return
                self._receive_line(line, now)
        except LineTooLong as error:
            self._fail(str(error))

    def take_sends(self) -> bytes:
        """Bytes for the TAS."""
        if not self._buffer:
            return b""
        data = b"".join(self._buffer)
        self._buffer.clear()
        self.urgent = False
        return data

    def notify(self, method: str, params: object) -> None:
        """Tell the TAS something."""
        self._buffer.append(encode_request(method, params))
        self.urgent = True

    def send_status(self) -> None:
        """The heartbeat."""
        self.notify("server.status", self._server.status())

    def _fail(self, text: str) -> None:
        self._buffer.append(encode_error(None, RpcError(INVALID_REQUEST, text)))
        self.close = self.urgent = True

    def _receive_line(self, line: bytes, now: float) -> None:
        try:
            message = decode_line(line)
        except ProtocolError as error:
            self._fail(str(error))
            return
        except RecursionError:
            self._fail("nested too deeply")
            return
        if message.method is None or message.id is None or not 0 <= message.id <= MAX_ID:
            self._fail("a TAS sends requests with method and id, nothing else")
            return
        entry = METHODS.get(message.method)
        if entry is None:
            known = ", ".join(METHODS)
            self._reply_error(message.id, METHOD_NOT_FOUND, f"no method {message.method!r}; there are: {known}")
            return
        handler, type_ = entry
        if not self.node and message.method != "hello":
            self._reply_error(message.id, ErrorCode.NOT_AUTHENTICATED, "say hello first")
            self.close = True
            return
        try:
            params = msgspec.json.decode(message.params, type=type_)
            self._buffer.append(encode_result(message.id, handler(self, params, now)))
            self.urgent |= message.method not in LAZY
        except msgspec.DecodeError as error:
            self._reply_error(message.id, INVALID_PARAMS, f"{message.method}: {error}")
        except SessionError as error:
            self._reply_error(message.id, error.error.code, error.error.message)
        except ValueError as error:  # what only the engine could see is wrong with it
            self._reply_error(message.id, INVALID_PARAMS, f"{message.method}: {error}")
        except EngineBusy:
            self._reply_error(message.id, ErrorCode.BUSY, "the engine is busy, try again")

    def _reply_error(self, request_id: int, code: int, text: str) -> None:
        self._buffer.append(encode_error(request_id, RpcError(code, text)))
        self.urgent = True

    # Methods.

    def _hello(self, params: Hello, now: float) -> HelloResult:
        server = self._server
        if self.node:
            raise SessionError(INVALID_REQUEST, f"hello was said already, by {self.node}")
        if not 0 < len(params.node) <= MAX_NODE_NAME:
            self.close = True
            raise SessionError(INVALID_PARAMS, f"node must be a name of 1 to {MAX_NODE_NAME} characters")
        if params.version != VERSION:
            self.close = True
            raise SessionError(
                ErrorCode.VERSION_MISMATCH, f"this server speaks version {VERSION}, not {params.version}"
            )
        if not server.token_is(params.token):
            self.close = True
            raise SessionError(ErrorCode.NOT_AUTHENTICATED, "wrong token: both ends need the same control.token_file")
        if not server.accept_epoch(params.node, params.epoch):
            self.close = True
            raise SessionError(ErrorCode.STALE_EPOCH, f"epoch {params.epoch} of {params.node} is older than one seen")
        self.node = params.node
        server.sessions.node_connected(params.node)
        sessions = server.sessions
        return HelloResult(
            version=VERSION,
            server=server.name,
            incarnation=server.incarnation,
            address=sessions.address,
            limit=sessions.limit,
            used=len(sessions),
            draining=sessions.draining,
            codecs=[Codec.PCMA, Codec.PCMU],
            sessions=sessions.of_node(params.node),
        )

    def _create(self, params: SessionCreate, now: float) -> SessionCreated:
        session = self._server.sessions.create(params, self.node, now)
        return SessionCreated(session.session, self._server.sessions.address, session.port)

    def _modify(self, params: SessionModify, _now: float) -> None:
        self._server.sessions.modify(params)

    def _digits(self, params: SendDigits, _now: float) -> None:
        self._server.sessions.send_digits(params)

    def _delete(self, params: SessionDelete, now: float) -> DeleteResult:
        return DeleteResult(self._server.sessions.delete(params.sessions, now))

    def _dump(self, params: SessionDump, _now: float) -> dict[str, object]:
        return self._server.sessions.dump(params.session)

    def _status(self, _params: Empty, _now: float) -> ServerStatus:
        return self._server.status()

    def _drain(self, _params: Empty, _now: float) -> None:
        self._server.set_state(ServerState.DRAINING)

    def _undrain(self, _params: Empty, _now: float) -> None:
        self._server.set_state(ServerState.UP)


Method = Callable[[ControlLink, Any, float], object]

METHODS: Final[dict[str, tuple[Method, Any]]] = {
    "hello": (ControlLink._hello, Hello),
    "session.create": (ControlLink._create, SessionCreate),
    "session.modify": (ControlLink._modify, SessionModify),
    "session.digits": (ControlLink._digits, SendDigits),
    "session.delete": (ControlLink._delete, SessionDelete),
    "session.dump": (ControlLink._dump, SessionDump),
    "server.get_status": (ControlLink._status, Empty),
    "server.drain": (ControlLink._drain, Empty),
    "server.undrain": (ControlLink._undrain, Empty),
}
