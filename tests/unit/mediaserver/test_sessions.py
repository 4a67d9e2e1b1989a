"""mediaserver/sessions.py"""

from __future__ import annotations

import errno
import random
import socket
from zlib import crc32

import msgspec
import pytest

from common.contracts.ids import SessionId
from common.contracts.media import ORPHAN_GRACE_S, ErrorCode, Play, SendDigits, SessionModify
from common.contracts.rpc import INVALID_PARAMS
from mediaserver.checks import SessionError
from mediaserver.engine import Engine
from mediaserver.ports import COOL_DOWN_S, PortPool
from mediaserver.sessions import MAX_BIND_TRIES, MAX_COMMANDS, Sessions
from tests.unit.mediaserver.engine.peers import until
from tests.unit.mediaserver.support import HOST, NODE, PLAY, REMOTE, RING, bind_any, make_engine, make_sessions, wish


@pytest.fixture
def engine() -> Engine:
    return make_engine()


@pytest.fixture
def sessions(engine: Engine) -> Sessions:
    return make_sessions(engine)


def refused(code: int) -> pytest.RaisesExc[SessionError]:
    return pytest.RaisesExc(SessionError, check=lambda error: error.error.code == code)


def state(sessions: Sessions, engine: Engine) -> object:
    """Everything a refused request must leave as it was."""
    return engine.room(), [sessions.dump(name) for name in sessions.sessions], sessions.next_timeout()


def uid_of_shard(shard: int) -> str:
    return next(uid for uid in map(str, range(99)) if crc32(uid.encode()) % 2 == shard)


def leave_room(engine: Engine, cp: int, commands: int) -> None:
    """Fill the engine's ring up to so many."""
    while engine.room() > commands:
        engine.unbridge(cp)


# Create.


def test_created_session_has_an_even_port_and_is_found_by_handle_and_node(sessions: Sessions) -> None:
    session = sessions.create(wish(), NODE, 0.0)
    assert session.port % 2 == 0
    assert 20000 <= session.port <= 20099
    assert sessions.by_cp(session.cp) is session
    assert sessions.of_node(NODE) == ["a"]
    assert sessions.of_node("tas-2") == []
    assert len(sessions) == 1


def test_same_session_again_is_refused(sessions: Sessions) -> None:
    sessions.create(wish(), NODE, 0.0)
    with refused(ErrorCode.SESSION_EXISTS):
        sessions.create(wish(), NODE, 0.0)


def test_limit_is_taken_and_the_next_refused_and_counted(sessions: Sessions) -> None:
    for name in "abcd":
        sessions.create(wish(name), NODE, 0.0)
    with refused(ErrorCode.FULL):
        sessions.create(wish("e"), NODE, 0.0)
    assert sessions.refused_full == 1
    sessions.delete([SessionId("b")], 1.0)
    sessions.create(wish("e"), NODE, 1.0)


def test_draining_takes_no_sessions_and_keeps_those_it_has(sessions: Sessions) -> None:
    sessions.create(wish(), NODE, 0.0)
    sessions.draining = True
    with refused(ErrorCode.DRAINING):
        sessions.create(wish("b"), NODE, 0.0)
    sessions.modify(SessionModify(SessionId("a"), remote=REMOTE))


def test_create_with_everything_does_it_in_one_flush(sessions: Sessions, engine: Engine) -> None:
    sessions.create(wish(), NODE, 0.0)
    before = engine.room()
    session = sessions.create(wish("b", remote=REMOTE, play=PLAY, bridge="a"), NODE, 0.0)
    assert session.bridged == "a"
    assert sessions.sessions[SessionId("a")].bridged == "b"
    assert before - engine.room() == 4  # add, remote, bridge, play
    sessions.create(wish("c", echo=True), NODE, 0.0)
    assert before - engine.room() == 6


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"bridge": "nobody"}, ErrorCode.NO_SESSION),
        ({"bridge": "b"}, ErrorCode.NO_SESSION),  # itself
        ({"play": Play(1, ["welcome", "unknown"])}, ErrorCode.NO_FILE),
        ({"play": Play(1, [])}, INVALID_PARAMS),
        ({"remote": msgspec.structs.replace(REMOTE, port=0)}, INVALID_PARAMS),
    ],
)
def test_create_with_a_fault_changes_nothing(
    sessions: Sessions, engine: Engine, changes: dict[str, object], code: int
) -> None:
    sessions.create(wish(), NODE, 0.0)
    before = state(sessions, engine)
    with refused(code):
        sessions.create(wish("b", **changes), NODE, 0.0)
    assert state(sessions, engine) == before


def test_missing_prompt_is_named_with_those_there_are(sessions: Sessions) -> None:
    with pytest.raises(SessionError, match=r"'unknown'.*music, welcome"):
        sessions.create(wish(play=Play(1, ["unknown"])), NODE, 0.0)


def test_busy_engine_refuses_create_and_keeps_neither_socket_nor_port(engine: Engine) -> None:
    bound: list[socket.socket] = []

    def bind(port: int) -> socket.socket:
        bound.append(bind_any(port))
        return bound[-1]

    sessions = make_sessions(engine, ports=PortPool(20000, 20003, random.Random(1).randrange), bind=bind)
    first = sessions.create(wish(), NODE, 0.0)
    leave_room(engine, first.cp, MAX_COMMANDS - 1)
    for _ in range(10):
        with refused(ErrorCode.BUSY):
            sessions.create(wish("b"), NODE, 0.0)
    assert len(bound) == 1, "not even bound"
    assert list(sessions.sessions) == ["a"]


def test_engine_without_a_place_gives_socket_and_port_back(engine: Engine) -> None:
    small = make_engine(capacity=1)
    bound: list[socket.socket] = []

    def bind(port: int) -> socket.socket:
        bound.append(bind_any(port))
        return bound[-1]

    sessions = make_sessions(small, ports=PortPool(20000, 20003, random.Random(1).randrange), bind=bind)
    sessions.create(wish(), NODE, 0.0)
    with pytest.raises(Exception, match="taken"):
        sessions.create(wish("b"), NODE, 0.0)
    assert bound[1].fileno() == -1, "closed"
    sessions.delete([SessionId("a")], 0.0)
    sessions.create(wish("c"), NODE, COOL_DOWN_S)
    assert len(sessions) == 1


def test_port_in_use_by_another_is_passed_over() -> None:
    engine = make_engine()
    failed: list[int] = []

    def bind(port: int) -> socket.socket:
        if len(failed) < 5:
            failed.append(port)
            raise OSError(errno.EADDRINUSE, "in use")
        return bind_any(port)

    session = make_sessions(engine, bind=bind).create(wish(), NODE, 0.0)
    assert len(failed) == 5
    assert session.port not in failed


def test_no_port_at_all_is_full_and_says_why() -> None:
    engine = make_engine()
    tried: list[int] = []

    def bind(port: int) -> socket.socket:
        tried.append(port)
        raise OSError(errno.EMFILE, "Too many open files")

    sessions = make_sessions(engine, bind=bind)
    with pytest.raises(SessionError, match=r"no free RTP port: .*Too many open files") as caught:
        sessions.create(wish(), NODE, 0.0)
    assert caught.value.error.code == ErrorCode.FULL
    assert (len(tried), sessions.refused_full, len(sessions)) == (MAX_BIND_TRIES, 1, 0)
    assert engine.room() == RING


# Modify.


def test_modify_of_an_unknown_session_is_refused(sessions: Sessions) -> None:
    with refused(ErrorCode.NO_SESSION):
        sessions.modify(SessionModify(SessionId("a")))


def test_new_bridge_leaves_the_old_partner_alone(sessions: Sessions) -> None:
    for name in "abc":
        sessions.create(wish(name), NODE, 0.0)
    sessions.modify(SessionModify(SessionId("a"), bridge=SessionId("b")))
    sessions.modify(SessionModify(SessionId("c"), bridge=SessionId("a")))
    assert {name: session.bridged for name, session in sessions.sessions.items()} == {"a": "c", "b": None, "c": "a"}
    sessions.modify(SessionModify(SessionId("a"), unbridge=True))
    assert {session.bridged for session in sessions.sessions.values()} == {None}


def test_echo_ends_a_bridge_and_its_end_does_not(sessions: Sessions) -> None:
    for name in "ab":
        sessions.create(wish(name), NODE, 0.0)
    sessions.modify(SessionModify(SessionId("a"), bridge=SessionId("b"), echo=False))
    assert sessions.sessions[SessionId("b")].bridged == "a"
    sessions.modify(SessionModify(SessionId("a"), echo=True))
    assert {session.bridged for session in sessions.sessions.values()} == {None}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"bridge": "nobody"}, ErrorCode.NO_SESSION),
        ({"bridge": "a"}, INVALID_PARAMS),
        ({"bridge": "elsewhere"}, INVALID_PARAMS),
        ({"play": Play(1, ["unknown"])}, ErrorCode.NO_FILE),
        ({"play": Play(2**32, ["music"])}, INVALID_PARAMS),
        ({"remote": msgspec.structs.replace(REMOTE, address="localhost")}, INVALID_PARAMS),
    ],
)
def test_modify_with_a_fault_changes_nothing(changes: dict[str, object], code: int) -> None:
    engine = make_engine(shards=2)
    sessions = make_sessions(engine, shards=2)
    sessions.create(wish("a", call_uid=uid_of_shard(0)), NODE, 0.0)
    sessions.create(wish("elsewhere", call_uid=uid_of_shard(1)), NODE, 0.0)
    before = state(sessions, engine)
    request = SessionModify(SessionId("a"), unbridge=True, stop_play=True, echo=True)
    with refused(code):
        sessions.modify(msgspec.structs.replace(request, **changes))
    assert state(sessions, engine) == before


def test_busy_engine_refuses_modify_before_any_of_it(sessions: Sessions, engine: Engine) -> None:
    session = sessions.create(wish(), NODE, 0.0)
    sessions.create(wish("b", bridge="a"), NODE, 0.0)
    leave_room(engine, session.cp, MAX_COMMANDS - 1)
    before = state(sessions, engine)
    with refused(ErrorCode.BUSY):
        sessions.modify(SessionModify(SessionId("a"), unbridge=True, remote=REMOTE, play=PLAY))
    assert state(sessions, engine) == before


def test_the_most_that_one_request_can_stage_is_within_its_reserve(sessions: Sessions, engine: Engine) -> None:
    for name in "abcd":
        sessions.create(wish(name), NODE, 0.0)
    for one, other in ("ab", "cd"):
        sessions.modify(SessionModify(SessionId(one), bridge=SessionId(other)))
    before = engine.room()
    everything = SessionModify(
        SessionId("a"), remote=REMOTE, unbridge=True, stop_play=True, bridge=SessionId("c"), echo=True, play=PLAY
    )
    sessions.modify(everything)
    assert before - engine.room() <= MAX_COMMANDS


# Digits.


def test_digits_are_sent_only_to_a_peer_that_takes_them(sessions: Sessions, engine: Engine) -> None:
    sessions.create(wish(), NODE, 0.0)
    with refused(INVALID_PARAMS):
        sessions.send_digits(SendDigits(SessionId("a"), "1"))
    sessions.modify(SessionModify(SessionId("a"), remote=msgspec.structs.replace(REMOTE, dtmf_payload_type=None)))
    before = engine.room()
    with refused(INVALID_PARAMS):
        sessions.send_digits(SendDigits(SessionId("a"), "1"))
    assert engine.room() == before
    sessions.modify(SessionModify(SessionId("a"), remote=REMOTE))
    sessions.send_digits(SendDigits(SessionId("a"), "12#d"))
    with refused(ErrorCode.NO_SESSION):
        sessions.send_digits(SendDigits(SessionId("b"), "1"))


# Delete.


def test_delete_gives_back_what_there_is_and_ignores_the_rest(sessions: Sessions, engine: Engine) -> None:
    for name in "ab":
        sessions.create(wish(name, remote=REMOTE), NODE, 0.0)
    sessions.modify(SessionModify(SessionId("a"), bridge=SessionId("b")))
    statistics = sessions.delete([SessionId(name) for name in ("a", "x", "a")], 1.0)
    assert [entry.session for entry in statistics] == ["a"]
    assert sessions.sessions[SessionId("b")].bridged is None
    assert sessions.delete([], 1.0) == []
    sessions.delete([SessionId("b")], 1.0)
    assert len(sessions) == 0
    assert sessions.next_timeout() is None


def test_busy_engine_refuses_delete_whole_and_takes_it_later(engine: Engine) -> None:
    sessions = make_sessions(engine)
    for name in "ab":
        sessions.create(wish(name), NODE, 0.0)
    leave_room(engine, sessions.sessions[SessionId("a")].cp, 3)
    before = state(sessions, engine)
    with refused(ErrorCode.BUSY):
        sessions.delete([SessionId("a"), SessionId("b")], 1.0)
    assert state(sessions, engine) == before
    engine.start()
    engine.flush()
    until(lambda: engine.room() == RING, "the ring emptied")
    assert len(sessions.delete([SessionId("a"), SessionId("b")], 1.0)) == 2
    engine.stop()


# Orphans.


def test_sessions_of_a_lost_node_live_for_the_grace_time(sessions: Sessions) -> None:
    sessions.create(wish("a"), "tas-1", 0.0)
    sessions.create(wish("b"), "tas-2", 0.0)
    sessions.node_lost("tas-1", 100.0)
    assert sessions.next_timeout() == 100.0 + ORPHAN_GRACE_S
    assert sessions.handle_timeout(100.0 + ORPHAN_GRACE_S - 0.1) == []
    assert sessions.handle_timeout(100.0 + ORPHAN_GRACE_S) == ["tas-1"]
    assert list(sessions.sessions) == ["b"]
    assert sessions.next_timeout() is None


def test_node_that_comes_back_keeps_its_sessions(sessions: Sessions) -> None:
    sessions.create(wish(), NODE, 0.0)
    sessions.node_lost(NODE, 100.0)
    sessions.node_connected(NODE)
    assert sessions.next_timeout() is None
    assert sessions.handle_timeout(1000.0) == []
    assert sessions.of_node(NODE) == ["a"]


def test_node_without_sessions_leaves_no_orphans(sessions: Sessions) -> None:
    sessions.node_lost(NODE, 100.0)
    assert sessions.next_timeout() is None


def test_busy_engine_ends_orphans_the_next_time(sessions: Sessions, engine: Engine) -> None:
    session = sessions.create(wish(), NODE, 0.0)
    sessions.node_lost(NODE, 0.0)
    leave_room(engine, session.cp, 1)
    assert sessions.handle_timeout(ORPHAN_GRACE_S) == []
    assert sessions.of_node(NODE) == ["a"]
    assert sessions.next_timeout() == ORPHAN_GRACE_S


def test_dump_shows_everything_known(sessions: Sessions) -> None:
    sessions.create(wish(remote=REMOTE), NODE, 0.0)
    dump = sessions.dump(SessionId("a"))
    assert (dump["session"], dump["call_uid"], dump["node"], dump["remote"]) == ("a", "call-1", NODE, REMOTE)
    assert msgspec.json.decode(msgspec.json.encode(dump))["statistics"]["remote_address"] == ""
    with refused(ErrorCode.NO_SESSION):
        sessions.dump(SessionId("b"))
    assert REMOTE.address == HOST
