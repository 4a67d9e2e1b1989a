"""JSON-RPC lines, also those of a peer that speaks something else."""

from __future__ import annotations

import msgspec
import pytest

from common.contracts.media import Hello
from common.contracts.rpc import (
    INVALID_PARAMS,
    ProtocolError,
    Reply,
    Request,
    RpcError,
    decode_line,
    encode_error,
    encode_request,
    encode_result,
)


def line_of(encoded: bytes) -> bytes:
    assert encoded.endswith(b"\n")
    assert encoded.count(b"\n") == 1
    return encoded[:-1]


def test_request_carries_method_params_and_id() -> None:
    hello = Hello(version=1, node="tas-1", incarnation="a1")
    message = decode_line(line_of(encode_request("hello", hello, 7)))
    assert (message.method, message.id) == ("hello", 7)
    assert msgspec.json.decode(message.params, type=Hello) == hello


def test_notification_has_no_id() -> None:
    encoded = line_of(encode_request("server.status", {"used": 1}))
    assert b'"id"' not in encoded
    assert decode_line(encoded).id is None


def test_newline_in_a_value_does_not_break_the_line() -> None:
    message = decode_line(line_of(encode_request("x", {"text": "a\nb\u2028åäö"}, 1)))
    assert msgspec.json.decode(message.params) == {"text": "a\nb\u2028åäö"}


def test_result_and_error_answer_by_id() -> None:
    result = decode_line(line_of(encode_result(3, {"port": 20_000})))
    assert (result.method, result.id, result.error) == (None, 3, None)
    assert msgspec.json.decode(result.result) == {"port": 20_000}
    error = RpcError(INVALID_PARAMS, "session: missing", {"key": "session"})
    refused = decode_line(line_of(encode_error(4, error)))
    assert (refused.id, refused.error) == (4, error)


def test_error_without_request_id_has_null_as_the_specification_says() -> None:
    encoded = line_of(encode_error(None, RpcError(-32700, "parse error")))
    assert msgspec.json.decode(encoded)["id"] is None
    assert decode_line(encoded).error == RpcError(-32700, "parse error")


def test_null_result_is_still_a_result() -> None:
    message = decode_line(line_of(encode_result(5, None)))
    assert (bytes(message.result), message.error) == (b"null", None)


def test_structs_say_what_the_encoders_write() -> None:
    encoded = encode_request("session.delete", {"sessions": []}, 9)
    request = msgspec.json.decode(encoded, type=Request)
    assert (request.jsonrpc, request.method, request.id) == ("2.0", "session.delete", 9)
    reply = msgspec.json.decode(encode_result(9, {}), type=Reply)
    assert (reply.jsonrpc, reply.id, bytes(reply.result)) == ("2.0", 9, b"{}")


def test_members_of_a_later_version_are_passed_over() -> None:
    message = decode_line(b'{"jsonrpc":"2.0","method":"x","id":1,"trace":"abc"}')
    assert (message.method, bytes(message.params)) == ("x", b"{}")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"INVITE sip:1@h SIP/2.0",
        b"\xff\xfe",
        b"[]",
        b'[{"jsonrpc":"2.0","method":"x","id":1}]',
        b"1",
        b"null",
        b'{"method":"x","id":1}',
        b'{"jsonrpc":"1.0","method":"x"}',
        b'{"jsonrpc":2.0,"method":"x"}',
        b'{"jsonrpc":"2.0","method":1}',
        b'{"jsonrpc":"2.0","method":"x","id":"a"}',
        b'{"jsonrpc":"2.0","id":1,"error":{"code":"x","message":"y"}}',
        b'{"jsonrpc":"2.0","method":"x"',
        b'{"jsonrpc":"2.0","method":"\xff"}',
        b'{"jsonrpc":"2.0","method":"x","params":{"session":"\xff"}}',
        b'{"jsonrpc":"2.0","method":"x","params":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=range(17),
)
def test_line_that_is_no_json_rpc_is_a_protocol_error(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_line(line)
