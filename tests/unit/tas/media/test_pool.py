"""The round robin over media servers."""

from __future__ import annotations

from collections import Counter

from common.contracts.media import DEAD_AFTER_S, SUSPECT_AFTER_S, ServerState
from tas.media.link import LinkState, MediaLink
from tas.media.pool import MediaPool
from tests.unit.tas.media.support import HELLO, Events, Server


def pool_of(count: int) -> tuple[MediaPool, list[Server], Events]:
    """A pool of servers that are up."""
    events, pool, servers = Events(), MediaPool([]), []
    for number in range(1, count + 1):
        link = MediaLink(f"media-{number}", HELLO, events)
        pool.add(link)
        servers.append(Server(link))
        servers[-1].connect()
    return pool, servers, events


def names(pool: MediaPool, count: int, exclude: tuple[str, ...] = ()) -> list[str]:
    found = [pool.choose(exclude) for _ in range(count)]
    return [link.name if link is not None else "none" for link in found]


def test_empty_pool_has_nothing_to_give() -> None:
    pool = MediaPool([])
    assert pool.choose() is None
    assert pool.next_timeout() is None


def test_first_server_gets_the_first_call_and_then_they_take_turns() -> None:
    pool, _, _ = pool_of(3)
    assert names(pool, 7) == ["media-1", "media-2", "media-3", "media-1", "media-2", "media-3", "media-1"]


def test_thousand_calls_spread_evenly() -> None:
    pool, _, _ = pool_of(3)
    assert sorted(Counter(names(pool, 1000)).values()) == [333, 333, 334]


def test_full_server_is_skipped_and_taken_back() -> None:
    pool, servers, _ = pool_of(2)
    servers[0].status(used=499)
    assert names(pool, 3) == ["media-2", "media-2", "media-2"]
    servers[0].status(used=100)
    assert names(pool, 2) == ["media-1", "media-2"]


def test_draining_server_is_skipped_and_taken_back() -> None:
    pool, servers, _ = pool_of(2)
    servers[1].status(ServerState.DRAINING)
    assert names(pool, 2) == ["media-1", "media-1"]
    servers[1].status()
    assert names(pool, 2) == ["media-2", "media-1"]


def test_silent_server_is_skipped_from_the_moment_it_is_suspect() -> None:
    pool, servers, _ = pool_of(2)
    servers[1].now = SUSPECT_AFTER_S
    servers[1].status()
    pool.handle_timeout(SUSPECT_AFTER_S)
    assert pool.links[0].state is LinkState.SUSPECT
    assert names(pool, 2) == ["media-2", "media-2"]


def test_lost_server_is_skipped_at_once() -> None:
    pool, servers, _ = pool_of(2)
    servers[0].link.connection_lost(0.0)
    assert names(pool, 2) == ["media-2", "media-2"]


def test_all_unusable_gives_none() -> None:
    pool, servers, _ = pool_of(2)
    for server in servers:
        server.status(used=500)
    assert names(pool, 1) == ["none"]


def test_excluded_servers_are_not_tried_again_for_the_same_call() -> None:
    pool, _, _ = pool_of(3)
    assert names(pool, 2, ("media-1",)) == ["media-2", "media-3"]
    assert names(pool, 1, ("media-1", "media-2", "media-3")) == ["none"]


def test_server_that_fills_up_between_two_statuses_is_left_in_time() -> None:
    pool, servers, _ = pool_of(2)
    for server in servers:
        server.status(used=490)
    placed: Counter[str] = Counter()
    while (link := pool.choose()) is not None:
        link.placed += 1
        placed[link.name] += 1
    assert placed == {"media-1": 9, "media-2": 9}


def test_timer_of_the_pool_is_the_soonest_of_its_links() -> None:
    pool, servers, _ = pool_of(2)
    servers[1].now = 1.0
    servers[1].status()
    assert pool.next_timeout() == SUSPECT_AFTER_S
    pool.handle_timeout(SUSPECT_AFTER_S)
    pool.handle_timeout(DEAD_AFTER_S)
    assert [link.state for link in pool.links] == [LinkState.DOWN, LinkState.UP]
