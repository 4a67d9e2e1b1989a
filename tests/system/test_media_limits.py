"""The limit of a media server: 500 connection points, the next one goes elsewhere, and without room a 503 says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.contracts.media import CONNECTION_POINTS_LIMIT, ErrorCode
from tests.system.support import sipp
from tests.system.support.lab import Lab, copy_configs, wait_for
from tests.system.support.media import RTP_PORTS, ControlClient, MediaServerProcess, rtp_base
from tests.system.support.rawsip import SDP, UdpPeer, request

pytestmark = pytest.mark.system
needs_sipp = pytest.mark.skipif(not sipp.installed(), reason="sipp is not installed (make setup installs sip-tester)")

FREE = 20
"""Connection points that are left to the callers on each server."""
HOLD_MS = 4000


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[MediaServerProcess]]:
    base = rtp_base()
    started = [MediaServerProcess(tmp_path / f"media-{n}", f"media-{n}", base + n * RTP_PORTS) for n in (1, 2)]
    yield started
    assert [server.stop() for server in started] == [0, 0]


def test_five_hundred_are_taken_and_the_next_goes_to_the_other_server(servers: list[MediaServerProcess]) -> None:
    first, second = (server.connect("tas-1") for server in servers)
    sockets = servers[0].sockets()
    replies = first.take(CONNECTION_POINTS_LIMIT, "call")
    ports = {reply["result"]["port"] for reply in replies}
    assert len(ports) == CONNECTION_POINTS_LIMIT
    assert all(port % 2 == 0 for port in ports)
    assert first.used() == CONNECTION_POINTS_LIMIT
    refused = first.take(2, "extra")
    assert [reply["error"]["code"] for reply in refused] == [ErrorCode.FULL, ErrorCode.FULL]
    assert "500" in refused[0]["error"]["message"]
    assert "result" in second.take(1, "extra")[0]
    # one leaves, one more fits
    assert len(first.ask("session.delete", sessions=["call-7"])["result"]["statistics"]) == 1
    assert [("result" in reply) for reply in first.take(2, "late")] == [True, False]
    everything = [f"call-{n}" for n in range(CONNECTION_POINTS_LIMIT)] + ["late-0", "never"]
    statistics = first.ask("session.delete", sessions=everything)["result"]["statistics"]
    assert len(statistics) == CONNECTION_POINTS_LIMIT
    assert first.used() == 0
    second.ask("session.delete", sessions=["extra-0"])
    wait_for(lambda: servers[0].sockets() == sockets, timeout_s=2, what="all RTP sockets closed")
    first.close()
    second.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    changes = {"tas.toml": {"t1_s = 0.5": "t1_s = 0.1"}}  # transactions go sooner
    lab = Lab(folder / "var", tas=1, configs=copy_configs(folder / "configs", changes))
    lab.start()
    yield lab
    lab.stop()


@pytest.fixture
def others(lab: Lab) -> Iterator[list[ControlClient]]:
    """Another TAS node's links to both servers: what it takes there is taken from the lab's calls."""
    token = (lab.var / "secrets" / "media.token").read_text().strip()
    clients = [ControlClient(9200 + n + lab.offset, "tas-9", token) for n in (1, 2)]
    yield clients
    for client in clients:
        client.ask("session.delete", sessions=client.taken)
        client.close()
    wait_for(lambda: used(lab) == [0, 0], timeout_s=10, what="all connection points given back")


def occupy(lab: Lab, client: ControlClient, server: int, count: int) -> None:
    """Take `count` connection points, and wait until the lab's TAS knows."""
    assert all("result" in reply for reply in client.take(count, f"other-{server}"))
    wait_for(lambda: seen_used(lab, server) == count, timeout_s=5, what=f"tas-1 knows how full media-{server} is")


def seen_used(lab: Lab, server: int) -> int:
    """Connection points in use on a server, as TAS 1 knows it."""
    servers = {view["server"]: view for view in lab.request(f"{lab.node_http(1)}/v1/media")}
    seen: int = servers[f"media-{server}"]["used"]
    return seen


def used(lab: Lab) -> list[int]:
    """Connection points in use on media-1 and media-2."""
    return [lab.request(f"{lab.media_http(n)}/v1/status")["used"] for n in (1, 2)]


def reasons(lab: Lab) -> Counter[str]:
    """How the lab's calls ended."""
    return Counter(cdr["reason"] for cdr in lab.cdrs())


def park(lab: Lab, folder: Path, calls: int, hold_ms: int = HOLD_MS) -> sipp.Sipp:
    """Callers who wait in the queue: nobody is logged on."""
    caller = sipp.Sipp(
        folder, "uac_call.xml", lab.sip(1), host="127.0.0.2", number="8000", calls=calls, rate=40, timeout_s=60
    )
    caller.extra = ["-d", str(hold_ms)]
    return caller.start()


def assert_refused(lab: Lab) -> None:
    """One more call hears what a call manager needs to take its other route and to come back."""
    caller = UdpPeer(lab.sip(1))
    try:
        answer = caller.final(request("INVITE", source=caller.address, body=SDP.format(formats="8")))
    finally:
        caller.close()
    assert answer.status == 503
    assert 1 <= int(answer["retry-after"]) <= 60


@needs_sipp
def test_calls_spread_evenly_over_both_servers(lab: Lab, tmp_path: Path) -> None:
    callers = park(lab, tmp_path / "callers", 40)
    wait_for(lambda: used(lab) == [20, 20], timeout_s=10, what="40 calls, 20 on each server")
    assert (callers.wait().failed, callers.errors()) == (0, "")
    wait_for(lambda: used(lab) == [0, 0], timeout_s=10, what="all connection points given back")


@needs_sipp
def test_calls_beyond_the_first_server_go_to_the_second(lab: Lab, others: list[ControlClient], tmp_path: Path) -> None:
    taken = CONNECTION_POINTS_LIMIT - 10
    occupy(lab, others[0], 1, taken)
    callers = park(lab, tmp_path / "callers", 40)
    wait_for(lambda: sum(used(lab)) == taken + 40, timeout_s=10, what="40 calls placed")
    first, second = used(lab)
    # a server's last point is kept for the second leg of a bridge
    assert taken + 9 <= first <= CONNECTION_POINTS_LIMIT
    assert 30 <= second <= 31
    assert (callers.wait().failed, callers.errors()) == (0, "")


@needs_sipp
def test_callers_beyond_both_servers_hear_503_with_retry_after_and_room_comes_back(
    lab: Lab, others: list[ControlClient], tmp_path: Path
) -> None:
    taken = CONNECTION_POINTS_LIMIT - FREE
    for server, other in enumerate(others, 1):
        occupy(lab, other, server, taken)
    callers = park(lab, tmp_path / "callers", 2 * FREE + 20)
    wait_for(lambda: sum(used(lab)) >= 2 * (taken + FREE - 1), timeout_s=10, what="both servers full")
    assert_refused(lab)
    assert max(used(lab)) <= CONNECTION_POINTS_LIMIT
    counts = callers.wait()
    assert counts.created == 2 * FREE + 20
    assert 2 * (FREE - 1) <= counts.successful <= 2 * FREE
    assert "SIP/2.0 503" in callers.errors()
    wait_for(lambda: used(lab) == [taken, taken], timeout_s=10, what="the callers' connection points given back")
    again = park(lab, tmp_path / "again", 10, hold_ms=200).wait()
    assert (again.successful, again.failed) == (10, 0)
    wait_for(lambda: not any(lab.node(1)["counts"].values()), timeout_s=45, what="calls and transactions gone")
    refused = counts.failed + 1
    wait_for(lambda: reasons(lab)["media_full"] >= refused, timeout_s=5, what=f"{refused} CDRs of refused calls")
    assert set(reasons(lab)) == {"caller_hangup", "media_full"}
    assert reasons(lab)["media_full"] == refused
