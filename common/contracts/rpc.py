"""JSON-RPC 2.0 as the control links speak it: one JSON object a line, UTF-8, `\n` at the end.

Both ends may send notifications (no `id`); only the TAS sends requests. Requests may be pipelined and are
answered in order of completion; a batch array is not used.
"""

from typing import Any, Final

import msgspec

from common.contracts.wire import FAULTS, check_utf8

MAX_LINE_BYTES: Final = 256 * 1024
"""Longest line either end accepts; a longer one ends the link."""

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603


class RpcError(msgspec.Struct, frozen=True):
    """The error member of a reply; `message` is a sentence for the log that names what to change."""

    code: int
    message: str
    data: Any = None


class Request(msgspec.Struct, omit_defaults=True):
    """A request (`id` set) or a notification (`id` None). `params` stays raw until the method is known."""

    method: str
    params: msgspec.Raw = msgspec.Raw(b"{}")
    id: int | None = None
    jsonrpc: str = "2.0"


class Reply(msgspec.Struct, omit_defaults=True):
    """A reply: `result` or `error`, never both."""

    id: int | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: RpcError | None = None
    jsonrpc: str = "2.0"


class Incoming(msgspec.Struct):
    """Any line, for the reader that does not yet know which it is: a request has `method`, a reply has not."""

    jsonrpc: str = ""
    method: str | None = None
    params: msgspec.Raw = msgspec.Raw(b"{}")
    id: int | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: RpcError | None = None


class ProtocolError(Exception):
    """The peer sent a line that is no JSON-RPC 2.0; the link cannot be trusted any more and is closed."""


_incoming = msgspec.json.Decoder(Incoming)
_encoder = msgspec.json.Encoder()


def decode_line(line: bytes) -> Incoming:
    """Decode one line without its newline; raises ProtocolError."""
    try:
        check_utf8(line)
        message = _incoming.decode(line)
    except FAULTS as error:
        raise ProtocolError(f"not a JSON-RPC line: {error}") from error
    if message.jsonrpc != "2.0":
        raise ProtocolError('member "jsonrpc" must be "2.0"')
    return message


def encode_request(method: str, params: object, request_id: int | None = None) -> bytes:
    """Encode a request, or a notification when `request_id` is None, with its newline."""
    body = {"jsonrpc": "2.0", "method": method, "params": params}
    if request_id is not None:
        body["id"] = request_id
    return _encoder.encode(body) + b"\n"


def encode_result(request_id: int, result: object) -> bytes:
    """Encode a successful reply with its newline."""
    return _encoder.encode({"jsonrpc": "2.0", "id": request_id, "result": result}) + b"\n"


def encode_error(request_id: int | None, error: RpcError) -> bytes:
    """Encode an error reply with its newline; `request_id` is None when the request's could not be read."""
    return _encoder.encode({"jsonrpc": "2.0", "id": request_id, "error": error}) + b"\n"
