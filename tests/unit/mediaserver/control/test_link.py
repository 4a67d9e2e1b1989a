"""mediaserver/control/link.py"""

from __future__ import annotations

import pytest

from common.contracts.media import VERSION, ErrorCode
from common.contracts.rpc import INVALID_PARAMS, INVALID_REQUEST, MAX_LINE_BYTES, METHOD_NOT_FOUND
from mediaserver.control.link import MAX_ID
from tests.unit.mediaserver.control.wire import Wire, make_server
from tests.unit.mediaserver.support import HOST, make_engine

REMOTE = {"address": HOST, "port": 4000, "codec": "PCMA", "payload_type": 8, "dtmf_payload_type": 101}


@pytest.fixture
def wire() -> Wire:
    """A link that has said hello."""
    wire = Wire(make_server())
    assert "result" in wire.hello()
    return wire


@pytest.fixture
def stranger() -> Wire:
    """A link that has not."""
    return Wire(make_server())


# Hello.


def test_hello_tells_what_the_server_is(stranger: Wire) -> None:
    result = stranger.hello()["result"]
    assert result == {
        "version": VERSION, "server": "media-1", "incarnation": "inc-1", "address": "192.0.2.7", "limit": 4, "used": 0,
        "draining": False, "codecs": ["PCMA", "PCMU"], "sessions": [],
    }  # fmt: skip
    assert stranger.link.node == "tas-1"
    assert not stranger.link.close


def test_hello_after_a_break_lists_the_sessions_of_the_node_alone(wire: Wire) -> None:
    wire.ask("session.create", session="a", call_uid="1")
    other = Wire(wire.server)
    other.hello("tas-2")
    other.ask("session.create", session="b", call_uid="2")
    assert Wire(wire.server).hello()["result"]["sessions"] == ["a"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"token": "guessed"}, ErrorCode.NOT_AUTHENTICATED),
        ({"token": ""}, ErrorCode.NOT_AUTHENTICATED),
        ({"token": "gesch\u00e4tzt"}, ErrorCode.NOT_AUTHENTICATED),
        ({"version": VERSION + 1}, ErrorCode.VERSION_MISMATCH),
        ({"node": ""}, INVALID_PARAMS),
        ({"node": "x" * 65}, INVALID_PARAMS),
    ],
)
def test_hello_with_a_fault_is_refused_and_the_link_dropped(
    stranger: Wire, changes: dict[str, object], code: int
) -> None:
    assert stranger.hello(**changes)["error"]["code"] == code
    assert stranger.link.close
    assert stranger.link.node == ""


def test_older_epoch_of_a_node_is_refused(wire: Wire) -> None:
    assert "result" in Wire(wire.server).hello(epoch=7)
    late = Wire(wire.server)
    assert late.hello(epoch=6)["error"]["code"] == ErrorCode.STALE_EPOCH
    assert late.link.close
    assert "result" in Wire(wire.server).hello(epoch=7)
    assert "result" in Wire(wire.server).hello("tas-2", epoch=1)


def test_without_a_token_every_peer_is_believed() -> None:
    assert "result" in Wire(make_server(token="")).hello(token="anything")


def test_everything_before_hello_is_refused(stranger: Wire) -> None:
    assert stranger.ask("session.create", session="a", call_uid="1")["error"]["code"] == ErrorCode.NOT_AUTHENTICATED
    assert stranger.link.close
    assert len(stranger.server.sessions) == 0


def test_second_hello_changes_nothing(wire: Wire) -> None:
    assert wire.hello("tas-2")["error"]["code"] == INVALID_REQUEST
    assert wire.link.node == "tas-1"
    assert not wire.link.close


def test_requests_after_a_refusal_are_not_read(stranger: Wire) -> None:
    lines = b"".join(
        b'{"jsonrpc":"2.0","id":%d,"method":"server.get_status","params":{}}\n' % number for number in (1, 2, 3)
    )
    assert [reply["id"] for reply in stranger.send(lines)] == [1]
    assert stranger.send(lines) == []


# Lines.


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b"",
        b"[]",
        b"{}",
        b'{"jsonrpc":"1.0","id":1,"method":"hello"}',
        b'{"jsonrpc":"2.0","id":1}',
        b'{"jsonrpc":"2.0","method":"hello"}',
        b'{"jsonrpc":"2.0","id":-1,"method":"hello"}',
        b'{"jsonrpc":"2.0","id":99999999999999999999999,"method":"hello"}',
        b'{"jsonrpc":"2.0","id":"1","method":"hello"}',
        b'{"jsonrpc":"2.0","id":1,"method":"hello\xff"}',
        b'{"jsonrpc":"2.0","id":1,"method":"hello","params":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_line_that_is_no_request_ends_the_link_with_an_answer(wire: Wire, line: bytes) -> None:
    replies = wire.send(line + b"\n")
    assert [reply["error"]["code"] for reply in replies] == [INVALID_REQUEST]
    assert wire.link.close


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_too_long_line_ends_the_link(wire: Wire, end: bytes) -> None:
    replies = wire.send(b" " * (MAX_LINE_BYTES + 1) + end)
    assert [reply["error"]["code"] for reply in replies] == [INVALID_REQUEST]
    assert wire.link.close


def test_request_in_pieces_and_several_in_one_are_understood(wire: Wire) -> None:
    line = b'{"jsonrpc":"2.0","id":%d,"method":"server.get_status"}\n'
    data = line % 5 + line % MAX_ID
    assert wire.send(data[:10]) == []
    assert [reply["id"] for reply in wire.send(data[10:])] == [5, MAX_ID]


def test_unknown_method_is_refused_with_those_there_are(wire: Wire) -> None:
    error = wire.ask("session.fly")["error"]
    assert error["code"] == METHOD_NOT_FOUND
    assert "session.create" in error["message"]
    assert not wire.link.close


# Requests.


def test_session_lives_from_create_to_delete(wire: Wire) -> None:
    created = wire.ask("session.create", session="a", call_uid="1", remote=REMOTE)["result"]
    assert (created["session"], created["address"]) == ("a", "192.0.2.7")
    assert created["port"] % 2 == 0
    play = {"play_id": 1, "files": ["welcome", "music"], "loop_from": 1}
    assert wire.ask("session.modify", session="a", play=play)["result"] is None
    assert wire.ask("session.digits", session="a", digits="1#")["result"] is None
    assert wire.ask("session.dump", session="a")["result"]["port"] == created["port"]
    assert wire.ask("server.get_status")["result"]["used"] == 1
    deleted = wire.ask("session.delete", sessions=["a", "b"])["result"]
    assert [entry["session"] for entry in deleted["statistics"]] == ["a"]
    assert wire.ask("server.get_status")["result"]["used"] == 0


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("session.create", {"session": "a"}, INVALID_PARAMS),
        ("session.create", {"session": 7, "call_uid": "1"}, INVALID_PARAMS),
        ("session.create", {"session": "a", "call_uid": "1", "remote": REMOTE | {"codec": "opus"}}, INVALID_PARAMS),
        ("session.create", {"session": "a", "call_uid": "1", "remote": REMOTE | {"port": 70000}}, INVALID_PARAMS),
        ("session.create", {"session": "a", "call_uid": "1", "bridge": "b"}, ErrorCode.NO_SESSION),
        ("session.modify", {"session": "b"}, ErrorCode.NO_SESSION),
        ("session.digits", {"session": "b", "digits": "1"}, ErrorCode.NO_SESSION),
        ("session.dump", {"session": "b"}, ErrorCode.NO_SESSION),
        ("session.delete", {"sessions": "a"}, INVALID_PARAMS),
    ],
)
def test_bad_request_is_refused_and_the_link_goes_on(
    wire: Wire, method: str, params: dict[str, object], code: int
) -> None:
    assert wire.ask(method, **params)["error"]["code"] == code
    assert not wire.link.close
    assert len(wire.server.sessions) == 0


def test_bytes_that_are_no_utf8_inside_params_are_refused(wire: Wire) -> None:
    line = b'{"jsonrpc":"2.0","id":9,"method":"session.dump","params":{"session":"\xff"}}\n'
    replies = wire.send(line)
    assert [reply["error"]["code"] for reply in replies] in ([INVALID_PARAMS], [INVALID_REQUEST])


def test_full_server_says_so(wire: Wire) -> None:
    for name in "abcd":
        wire.ask("session.create", session=name, call_uid="1")
    error = wire.ask("session.create", session="e", call_uid="1")["error"]
    assert error["code"] == ErrorCode.FULL
    assert "all 4 connection points" in error["message"]


def test_busy_engine_is_told_so_that_the_tas_tries_again() -> None:
    engine = make_engine()
    wire = Wire(make_server(engine))
    wire.hello()
    wire.ask("session.create", session="a", call_uid="1", remote=REMOTE)
    handle = next(iter(wire.server.sessions.sessions.values())).cp
    while engine.room():
        engine.unbridge(handle)
    for method, params in (
        ("session.create", {"session": "b", "call_uid": "1"}),
        ("session.modify", {"session": "a", "stop_play": True}),
        ("session.digits", {"session": "a", "digits": "1"}),
        ("session.delete", {"sessions": ["a"]}),
    ):
        assert wire.ask(method, **params)["error"]["code"] == ErrorCode.BUSY
    assert wire.ask("server.get_status")["result"]["used"] == 1


def test_drain_is_told_to_every_tas_at_once_and_to_no_stranger(wire: Wire) -> None:
    other, stranger = Wire(wire.server), Wire(wire.server)
    other.hello("tas-2")
    assert wire.ask("server.drain")["result"] is None
    statuses = other.read()
    assert [(status["method"], status["params"]["state"]) for status in statuses] == [("server.status", "draining")]
    assert stranger.read() == []
    assert wire.ask("session.create", session="a", call_uid="1")["error"]["code"] == ErrorCode.DRAINING
    wire.ask("server.undrain")
    assert [status["params"]["state"] for status in other.read()] == ["up"]
