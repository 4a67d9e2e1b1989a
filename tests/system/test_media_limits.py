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
from tests.system.support.rawsip import SDP, Answer, UdpPeer, request

pytestmark = pytest.mark.system
needs_sipp = pytest.mark.skipif(not sipp.installed(), reason="sipp is not installed (make setup installs sip-tester)")

SMALL = 20
PARKED_MS = 5000
SPREAD_MS = 3000


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


def park(lab: Lab, folder: Path, calls: int, hold_ms: int = PARKED_MS) -> sipp.Sipp:
    """Callers who wait in the queue: nobody is logged on."""
    caller = sipp.Sipp(
        folder, "uac_call.xml", lab.sip(1), host="127.0.0.2", number="8000", calls=calls, rate=40, timeout_s=30
    )
    caller.extra = ["-d", str(hold_ms)]
    return caller


def used(lab: Lab) -> list[int]:
    """Connection points in use on media-1 and media-2."""
    return [lab.request(f"{lab.media_http(n)}/v1/status")["used"] for n in (1, 2)]


def call_once(lab: Lab) -> Answer:
    """The final answer to one more call."""
    caller = UdpPeer(lab.sip(1))
    try:
        return caller.final(request("INVITE", source=caller.address, body=SDP.format(formats="8")))
    finally:
        caller.close()


def assert_refused(answer: Answer) -> None:
    """What a call manager needs to take its other route and come back."""
    assert answer.status == 503
    assert 1 <= int(answer["retry-after"]) <= 60


@needs_sipp
def test_callers_beyond_both_servers_hear_503_with_retry_after_and_room_comes_back(tmp_path: Path) -> None:
    changes = {
        "mediaserver.toml": {"connection_points = 500": f"connection_points = {SMALL}"},
        "tas.toml": {"t1_s = 0.5": "t1_s = 0.1"},  # transactions go sooner
    }
    lab = Lab(tmp_path / "var", tas=1, configs=copy_configs(tmp_path / "configs", changes))
    lab.start()
    try:
        callers = park(lab, tmp_path / "callers", 2 * SMALL + 20).start()
        wait_for(lambda: sum(used(lab)) >= 2 * (SMALL - 1), timeout_s=5, what="both servers full")
        assert_refused(call_once(lab))
        assert max(used(lab)) <= SMALL
        counts = callers.wait()
        # a server's last point is kept for the second leg of a bridge
        assert 2 * (SMALL - 1) <= counts.successful <= 2 * SMALL
        assert counts.created == 2 * SMALL + 20
        assert callers.errors().count("SIP/2.0 503") >= 1
        wait_for(lambda: sum(used(lab)) == 0, timeout_s=5, what="all connection points given back")
        again = park(lab, tmp_path / "again", 10, hold_ms=200).run()
        assert (again.successful, again.failed) == (10, 0)
        wait_for(lambda: not lab.left(), timeout_s=45, what="calls, sessions and transactions gone")
        results = Counter((cdr["result"], cdr["reason"]) for cdr in lab.cdrs())
        assert results["abandoned", "caller_hangup"] == counts.successful + 10
        assert results["rejected", "media_full"] == counts.failed + 1
    finally:
        lab.stop()


@needs_sipp
def test_calls_spread_evenly_and_those_beyond_the_first_server_go_to_the_second(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "var", tas=1)
    lab.start()
    try:
        token = (lab.var / "secrets" / "media.token").read_text().strip()
        control = [9200 + n + lab.offset for n in (1, 2)]
        even = park(lab, tmp_path / "even", 40, hold_ms=SPREAD_MS).start()
        wait_for(lambda: used(lab) == [20, 20], timeout_s=5, what="40 calls, 20 on each server")
        assert (even.wait().failed, even.errors()) == (0, "")
        wait_for(lambda: used(lab) == [0, 0], timeout_s=5, what="all given back")
        others = [ControlClient(port, "tas-9", token) for port in control]
        taken = CONNECTION_POINTS_LIMIT - 10
        assert all("result" in reply for reply in others[0].take(taken, "other"))
        wait_for(lambda: lab_sees(lab, "media-1") == taken, timeout_s=3, what="tas-1 knows that media-1 is nearly full")
        rest = park(lab, tmp_path / "rest", 40, hold_ms=SPREAD_MS).start()
        wait_for(lambda: sum(used(lab)) == taken + 40, timeout_s=5, what="40 calls placed")
        first, second = used(lab)
        assert taken + 9 <= first <= CONNECTION_POINTS_LIMIT
        assert 30 <= second <= 31
        assert (rest.wait().failed, rest.errors()) == (0, "")
        others[1].take(CONNECTION_POINTS_LIMIT, "other")
        others[0].take(CONNECTION_POINTS_LIMIT - taken, "more")
        wait_for(lambda: used(lab) == [CONNECTION_POINTS_LIMIT] * 2, timeout_s=3, what="both full")
        assert_refused(call_once(lab))
        for other in others:
            other.close()
    finally:
        lab.stop()


def lab_sees(lab: Lab, server: str) -> int:
    """Connection points in use on a server, as TAS 1 knows it."""
    servers = {view["server"]: view for view in lab.request(f"{lab.node_http(1)}/v1/media")}
    seen: int = servers[server]["used"]
    return seen
