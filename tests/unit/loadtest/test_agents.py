"""Agents shared out over the TAS nodes."""

from __future__ import annotations

import itertools
from pathlib import Path

from loadtest.agents import share_phones

SERVERS = [("127.0.0.1", 5060), ("127.0.0.1", 5070)]


def test_every_number_has_one_phone_and_nodes_have_as_many_as_each_other(tmp_path: Path) -> None:
    numbers = [str(1001 + n) for n in range(5)]
    ports = itertools.count(7000)
    first, second = share_phones(tmp_path, numbers, SERVERS, lambda: next(ports))
    assert first.numbers == ["1001", "1002", "1003"]
    assert second.numbers == ["1004", "1005"]
    assert [(phones.server, phones.port) for phones in (first, second)] == [(SERVERS[0], 7000), (SERVERS[1], 7001)]
    assert first.folder != second.folder


def test_fewer_agents_than_nodes_leave_nodes_without(tmp_path: Path) -> None:
    (only,) = share_phones(tmp_path, ["1001"], SERVERS, lambda: 7000)
    assert only.server == SERVERS[0]
