"""mediaserver/server.py"""

from __future__ import annotations

import pytest

from common.contracts.media import ORPHAN_GRACE_S, ServerState
from mediaserver.engine import EVENT_DIGIT, EVENT_FIRST_PACKET, EVENT_PLAY_FINISHED, EVENT_RTP_TIMEOUT
from tests.unit.mediaserver.control.wire import Wire, make_server
from tests.unit.mediaserver.support import wish


def test_events_go_to_the_links_of_the_sessions_node_alone() -> None:
    server = make_server()
    mine, second, other = Wire(server), Wire(server), Wire(server)
    mine.hello()
    second.hello()
    other.hello("tas-2")
    cp = server.sessions.create(wish(), "tas-1", 0.0).cp
    server.receive_events([(EVENT_DIGIT, cp, ord("#"), 100)])
    assert mine.read() == second.read() != []
    assert other.read() == []


@pytest.mark.parametrize(
    ("event", "method", "params"),
    [
        ((EVENT_DIGIT, ord("5"), 120), "session.digit", {"digit": "5", "duration_ms": 120}),
        ((EVENT_PLAY_FINISHED, 7, 0), "play.finished", {"play_id": 7, "cause": "end"}),
        ((EVENT_PLAY_FINISHED, 7, 1), "play.finished", {"play_id": 7, "cause": "digit"}),
        ((EVENT_FIRST_PACKET, 0xC0000207, 4000), "session.first_packet", {"address": "192.0.2.7", "port": 4000}),
        ((EVENT_RTP_TIMEOUT, 60_020, 0), "session.rtp_timeout", {"silent_s": 60.02}),
    ],
)
def test_event_is_told_in_the_contracts_words(
    event: tuple[int, int, int], method: str, params: dict[str, object]
) -> None:
    server = make_server()
    wire = Wire(server)
    wire.hello()
    cp = server.sessions.create(wish(), "tas-1", 0.0).cp
    kind, a, b = event
    server.receive_events([(kind, cp, a, b)])
    assert wire.read() == [{"jsonrpc": "2.0", "method": method, "params": {"session": "a"} | params}]


def test_event_of_a_session_that_is_gone_is_dropped() -> None:
    server = make_server()
    wire = Wire(server)
    wire.hello()
    cp = server.sessions.create(wish(), "tas-1", 0.0).cp
    server.sessions.delete([wish().session], 0.0)
    server.receive_events([(EVENT_DIGIT, cp, ord("5"), 100)])
    assert wire.read() == []


def test_sessions_are_orphans_only_when_the_nodes_last_link_is_gone() -> None:
    server = make_server()
    first, second = Wire(server), Wire(server)
    first.hello()
    second.hello()
    server.sessions.create(wish(), "tas-1", 0.0)
    server.link_lost(first.link, 10.0)
    assert server.sessions.next_timeout() is None
    server.link_lost(second.link, 20.0)
    assert server.sessions.next_timeout() == 20.0 + ORPHAN_GRACE_S
    assert server.links == []
    Wire(server).hello()
    assert server.sessions.next_timeout() is None


def test_link_that_never_said_hello_leaves_no_orphans() -> None:
    server = make_server()
    stranger = Wire(server)
    server.sessions.create(wish(), "tas-1", 0.0)
    server.link_lost(stranger.link, 10.0)
    assert server.sessions.next_timeout() is None


def test_status_says_how_full_it_is() -> None:
    server = make_server()
    server.overruns = 3
    server.sessions.create(wish(), "tas-1", 0.0)
    status = server.status()
    assert (status.server, status.state, status.used, status.limit, status.overruns) == ("media-1", "up", 1, 4, 3)
    server.set_state(ServerState.DRAINING)
    assert server.status().state is ServerState.DRAINING


def test_epochs_of_a_node_only_grow() -> None:
    server = make_server()
    assert [server.accept_epoch("tas-1", epoch) for epoch in (0, 5, 4, 5, 6)] == [True, True, False, True, True]
    assert server.accept_epoch("tas-2", 1)
