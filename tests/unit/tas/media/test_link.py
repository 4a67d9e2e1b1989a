"""The control link: hello, states, silence, and what becomes of requests and sessions when it breaks."""

from __future__ import annotations

import msgspec
import pytest

from common.contracts.ids import SessionId
from common.contracts.media import (
    DEAD_AFTER_S,
    SUSPECT_AFTER_S,
    Digit,
    Empty,
    ErrorCode,
    FirstPacket,
    Hello,
    PlayFinished,
    RtpTimeout,
    ServerState,
    SessionDelete,
)
from common.contracts.rpc import MAX_LINE_BYTES, RpcError
from tas.media.link import FULL_OR_DRAINING, LINK_LOST, RESERVE, LinkState
from tests.unit.tas.media.support import HELLO, Owner, connected, make, welcome

SESSION = SessionId("c.1")
UP, SUSPECT, DOWN, ABSENT, DRAINING = (
    LinkState.UP,
    LinkState.SUSPECT,
    LinkState.DOWN,
    LinkState.ABSENT,
    LinkState.DRAINING,
)


def test_new_link_is_absent_and_has_no_timer() -> None:
    link, _, _ = make()
    assert (link.state, link.usable, link.next_timeout()) == (ABSENT, False, None)


def test_first_thing_said_is_hello() -> None:
    link, server, _ = make()
    link.connection_made(0.0)
    (request,) = server.requests()
    assert request.method == "hello"
    assert msgspec.json.decode(request.params, type=Hello) == HELLO


def test_hello_answered_makes_it_usable() -> None:
    link, server, events = make()
    server.connect(welcome(used=3))
    assert (link.state, link.usable, link.used, link.limit, link.address) == (UP, True, 3, 500, "192.0.2.20")
    assert events.take() == [(ABSENT, UP)]


def test_hello_of_a_draining_server_makes_it_draining() -> None:
    link, server, _ = make()
    server.connect(welcome(draining=True))
    assert (link.state, link.usable) == (DRAINING, False)


@pytest.mark.parametrize("code", [ErrorCode.NOT_AUTHENTICATED, ErrorCode.VERSION_MISMATCH, ErrorCode.STALE_EPOCH])
def test_refused_hello_drops_the_connection_and_says_why(code: int) -> None:
    link, server, events = make()
    server.connect(RpcError(code, "wrong token"))
    assert (link.close, link.problem, link.state) == (True, "wrong token", ABSENT)
    assert events.take() == []


def test_hello_of_another_version_drops_the_connection() -> None:
    link, server, _ = make()
    server.connect(welcome(version=2))
    assert link.close
    assert "version 2" in link.problem


def test_next_connection_forgets_the_problem() -> None:
    link, server, _ = make()
    server.connect(RpcError(ErrorCode.NOT_AUTHENTICATED, "wrong token"))
    link.connection_lost(0.1)
    server.connect()
    assert (link.close, link.problem, link.state) == (False, "", UP)


def test_requests_may_follow_hello_at_once_and_replies_find_their_owners() -> None:
    link, server, _ = make()
    first, second = Owner(), Owner()
    link.connection_made(0.0)
    link.request("session.create", Empty(), first, "a", 0.0)
    link.request("session.create", Empty(), second, "b", 0.0)
    hello, a, b = server.requests()
    server.reply(hello, welcome())
    server.reply(b, {"port": 2})
    server.reply(a, RpcError(ErrorCode.FULL, "full"))
    assert first.replies == [("a", ErrorCode.FULL)]
    assert second.replies == [("b", {"port": 2})]


def test_reply_nobody_waits_for_is_ignored() -> None:
    link, _, _ = connected()
    link.receive_data(b'{"jsonrpc":"2.0","id":99,"result":null}\n{"jsonrpc":"2.0","result":null}\n', 0.0)
    assert not link.close


def test_request_without_a_connection_fails_at_once() -> None:
    link, server, _ = make()
    owner = Owner()
    link.request("session.create", Empty(), owner, "a", 0.0)
    link.request("session.delete", Empty(), None, "", 0.0)
    assert owner.replies == [("a", LINK_LOST)]
    assert server.requests() == []


def test_requests_under_way_fail_when_the_connection_is_lost() -> None:
    link, server, _ = connected()
    owner = Owner()
    link.request("session.create", Empty(), owner, "a", 0.0)
    link.connection_lost(0.1)
    assert owner.replies == [("a", LINK_LOST)]
    assert server.requests() == []  # what was not sent does not go to the next connection


def test_request_to_a_busy_engine_is_made_again_when_the_server_is_heard_of() -> None:
    link, server, _ = connected()
    owner = Owner()
    link.request("session.modify", Empty(), owner, "a", 0.0)
    (first,) = server.requests()
    server.reply(first, RpcError(ErrorCode.BUSY, "the engine is busy"))
    assert (server.requests(), owner.replies) == ([], [])
    server.status()
    (again,) = server.requests()
    assert (again.id, again.method) == (first.id, "session.modify")
    server.reply(again, None)
    assert owner.replies == [("a", None)]


def test_request_that_waits_for_a_busy_engine_fails_with_the_connection() -> None:
    link, server, _ = connected()
    owner = Owner()
    link.request("session.delete", Empty(), owner, "a", 0.0)
    server.reply(server.requests()[0], RpcError(ErrorCode.BUSY, "the engine is busy"))
    link.connection_lost(0.1)
    assert owner.replies == [("a", LINK_LOST)]


def test_new_session_does_not_wait_for_a_busy_engine() -> None:
    link, server, _ = connected()
    owner = Owner()
    link.request("session.create", Empty(), owner, "a", 0.0)
    server.reply(server.requests()[0], RpcError(ErrorCode.BUSY, "the engine is busy"))
    assert owner.replies == [("a", ErrorCode.BUSY)]


def test_what_is_worth_another_server() -> None:
    expected = {ErrorCode.FULL, ErrorCode.DRAINING, ErrorCode.BUSY, LINK_LOST}
    assert expected == FULL_OR_DRAINING


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("session.digit", Digit(SESSION, "5", 100)),
        ("play.finished", PlayFinished(SESSION, 2, "end")),
        ("session.first_packet", FirstPacket(SESSION, "192.0.2.9", 4000)),
        ("session.rtp_timeout", RtpTimeout(SESSION, 30.0)),
    ],
)
def test_news_of_a_session_is_passed_on(method: str, params: object) -> None:
    _, server, events = connected()
    server.tell(method, params)
    assert events.take() == [params]


def test_news_of_a_later_contract_is_ignored() -> None:
    link, server, events = connected()
    server.tell("session.mood", {"session": "c.1"})
    assert events.take() == []
    assert not link.close


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"{}\n",
        b'{"jsonrpc":"1.0","method":"server.status"}\n',
        b'{"jsonrpc":"2.0","method":"server.status","params":{"server":1}}\n',
        b'{"jsonrpc":"2.0","method":"session.digit","params":{}}\n',
        b'{"jsonrpc":"2.0","id":"x","result":null}\n',
        b"\xff\xfe\n",
        b"x" * (MAX_LINE_BYTES + 1),
    ],
)
def test_nonsense_drops_the_connection_and_says_so(data: bytes) -> None:
    link, _, _ = connected()
    link.receive_data(data, 0.0)
    assert link.close
    assert "another protocol" in link.problem


def test_malformed_answer_to_hello_drops_the_connection() -> None:
    link, server, _ = make()
    link.connection_made(0.0)
    (hello,) = server.requests()
    server.reply(hello, {"version": "one"})
    assert (link.close, link.state) == (True, ABSENT)


def test_line_in_pieces_is_one_line() -> None:
    link, server, _ = make()
    link.connection_made(0.0)
    (hello,) = server.requests()
    data = b'{"jsonrpc":"2.0","id":%d,"result":%b}\n' % (hello.id or 0, msgspec.json.encode(welcome()))
    for at in range(len(data)):
        link.receive_data(data[at : at + 1], 0.0)
    assert link.state is UP


# Room.


def test_server_is_usable_up_to_its_limit_less_the_place_of_the_second_leg() -> None:
    link, server, _ = connected()
    server.status(used=500 - RESERVE - 1)
    assert link.usable
    server.status(used=500 - RESERVE)
    assert not link.usable


def test_sessions_placed_since_the_last_status_count() -> None:
    link, server, _ = connected()
    server.status(used=490)
    link.placed = 8
    assert link.usable
    link.placed = 9
    assert not link.usable
    server.status(used=490)
    assert link.usable


def test_draining_and_back() -> None:
    link, server, events = connected()
    server.status(ServerState.DRAINING)
    server.status(ServerState.UP, limit=400)
    assert events.take() == [(UP, DRAINING), (DRAINING, UP)]
    assert link.view().limit == 400


# Silence.


def test_silence_makes_it_suspect_and_a_status_up_again() -> None:
    _, server, events = connected()
    server.pass_time(SUSPECT_AFTER_S - 0.01)
    assert events.take() == []
    server.pass_time(0.01)
    assert events.take() == [(UP, SUSPECT)]
    server.status()
    assert events.take() == [(SUSPECT, UP)]


def test_longer_silence_is_death_requests_fail_and_sessions_are_lost_once() -> None:
    link, server, events = connected()
    owner = Owner()
    link.request("session.create", Empty(), owner, "a", 0.0)
    server.pass_time(DEAD_AFTER_S)
    assert events.take() == [(UP, SUSPECT), "lost", (SUSPECT, DOWN)]
    assert owner.replies == [("a", LINK_LOST)]
    assert link.close
    assert "nothing" in link.problem
    server.pass_time(60)
    assert events.take() == []


def test_server_that_never_answers_hello_is_dropped() -> None:
    link, server, events = make()
    link.connection_made(0.0)
    server.pass_time(60)
    assert (link.close, link.state) == (True, DOWN)
    assert events.take() == ["lost", (ABSENT, DOWN)]


def test_heartbeats_keep_it_up_for_ever() -> None:
    link, server, events = connected()
    for _ in range(20):
        server.pass_time(0.5)
        server.status()
    assert (events.take(), link.state) == ([], UP)


def test_own_sleep_is_not_taken_for_the_servers_silence() -> None:
    link, _, events = connected()
    link.handle_timeout(SUSPECT_AFTER_S + 30.0)
    assert (events.take(), link.state) == ([], UP)
    assert link.next_timeout() == SUSPECT_AFTER_S + 30.0 + SUSPECT_AFTER_S


def test_own_sleep_after_a_lost_connection_leaves_the_time_to_make_a_new_one() -> None:
    link, _, events = connected()
    link.connection_lost(0.0)
    link.handle_timeout(DEAD_AFTER_S + 30.0)
    assert events.take() == [(UP, SUSPECT)]
    assert link.next_timeout() == DEAD_AFTER_S + 30.0 + DEAD_AFTER_S


# Broken connections.


def test_lost_connection_is_suspect_and_back_in_time_with_its_sessions() -> None:
    link, server, events = connected()
    link.connection_lost(0.0)
    assert not link.usable
    server.pass_time(DEAD_AFTER_S - 0.01)
    server.connect()
    server.pass_time(0.1)
    assert events.take() == [(UP, SUSPECT), (SUSPECT, UP)]


def test_lost_connection_is_death_after_two_seconds() -> None:
    link, server, events = connected()
    link.connection_lost(0.0)
    server.pass_time(DEAD_AFTER_S)
    assert events.take() == [(UP, SUSPECT), "lost", (SUSPECT, DOWN)]
    assert link.next_timeout() is None
    server.pass_time(10)
    server.connect()
    assert events.take() == [(DOWN, UP)]


def test_connections_that_fail_again_do_not_prolong_the_wait() -> None:
    link, server, events = connected()
    link.connection_lost(0.0)
    for _ in range(7):
        server.pass_time(0.25)
        link.connection_made(server.now)
        link.connection_lost(server.now)
    server.requests()
    server.pass_time(0.25)
    assert events.take() == [(UP, SUSPECT), "lost", (SUSPECT, DOWN)]


def test_silence_and_then_a_lost_connection_is_still_death() -> None:
    link, server, events = connected()
    server.pass_time(SUSPECT_AFTER_S)
    link.connection_lost(server.now)
    server.pass_time(DEAD_AFTER_S)
    assert events.take() == [(UP, SUSPECT), "lost", (SUSPECT, DOWN)]


def test_server_that_comes_back_as_another_life_has_lost_its_sessions() -> None:
    link, server, events = connected()
    link.connection_lost(0.0)
    server.connect(welcome("m2"))
    assert events.take() == [(UP, SUSPECT), "lost", (SUSPECT, UP)]
    assert link.incarnation == "m2"


def test_status_before_hello_is_answered_does_not_make_a_dead_server_usable() -> None:
    link, server, _ = connected()
    link.connection_lost(0.0)
    server.pass_time(DEAD_AFTER_S)
    link.connection_made(server.now)
    server.status()
    assert (link.state, link.usable) == (DOWN, False)


def test_sessions_nobody_knows_are_ended_at_hello() -> None:
    link, server, events = make()
    events.known = {"call-1.1"}
    link.connection_made(0.0)
    (hello,) = server.requests()
    server.reply(hello, welcome(sessions=["call-1.1", "call-1.2", "old-call.1"]))
    (request,) = server.requests()
    assert request.method == "session.delete"
    assert msgspec.json.decode(request.params, type=SessionDelete).sessions == ["call-1.2", "old-call.1"]


def test_nothing_is_ended_at_hello_when_all_sessions_are_known() -> None:
    link, server, events = make()
    events.known = {"call-1.1"}
    server.connect(welcome(sessions=["call-1.1"]))
    assert server.requests() == []
    assert link.state is UP
