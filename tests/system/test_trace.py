"""The trace of a real lab: live from all nodes while SIPp calls, and of the call when it is over; HEP3 beside it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.support import baresip, sipp
from tests.system.support.lab import ROOT, Lab, copy_configs, wait_for
from tests.unit.tas.sip.hep_decoder import decode
from tests.unit.tasctl.pcap_reader import read

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not sipp.installed(), reason="sipp is not installed (make setup installs sip-tester)"),
]

CALLER_LEG = ["INVITE", "100 Trying", "200 OK", "ACK", "BYE", "200 OK"]
AGENT_LEG = ["INVITE", "180 Ringing", "200 OK", "ACK", "BYE", "200 OK"]


@pytest.fixture(scope="module")
def homer() -> Iterator[socket.socket]:
    """Where Homer would listen."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
        listening.bind(("127.0.0.1", 0))
        listening.setblocking(False)
        yield listening


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, homer: socket.socket) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    target = f'hep = "udp://127.0.0.1:{homer.getsockname()[1]}"'
    lab = Lab(folder / "var", configs=copy_configs(folder / "configs", {"tas.toml": {'# hep = ""': target}}))
    lab.start()
    yield lab
    lab.stop()


class Trace:
    """`tasctl trace --json` against a lab, until it is stopped."""

    def __init__(self, lab: Lab, *arguments: str) -> None:
        environment = dict(os.environ, LAB_VAR=str(lab.var))
        command = [sys.executable, "-m", "tasctl.main", "trace", "--json", "--seconds", "60", *arguments]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stderr is not None
        assert self._process.stderr.readline().startswith("tracing tas-1, tas-2")

    def stop(self) -> list[dict[str, Any]]:
        """Ctrl-C; the lines."""
        self._process.send_signal(signal.SIGINT)
        output, errors = self._process.communicate(timeout=10)
        assert (self._process.returncode, errors) == (0, "")
        return [json.loads(line) for line in output.splitlines()]


def start(message: dict[str, Any]) -> str:
    """Method, or status and reason."""
    first = str(message["text"].split("\r\n")[0])
    return first.removeprefix("SIP/2.0 ") if first.startswith("SIP/") else first.split()[0]


def place_call(lab: Lab, folder: Path) -> tuple[dict[str, Any], int]:
    """One call of the trunk through queue 8000 to agent 1001 that SIPp plays; the call, and the agent's port."""
    port = baresip.free_port()
    rows = ["1001;[authentication username=1001 password=lab-1001]"]
    logon = sipp.Sipp(folder / "register", "register.xml", lab.sip(1), port=port, rows=rows, timeout_s=10)
    assert logon.run().successful == 1, logon.errors()
    phone = sipp.Sipp(folder / "phone", "uas_agent.xml", port=port, calls=1, timeout_s=30).start()
    lab.wait_agent("1001", "Ready")
    caller = sipp.Sipp(folder / "caller", "uac_call.xml", lab.sip(1), host="127.0.0.2", number="8000", timeout_s=20)
    caller.extra = ["-d", "1000"]
    counts = caller.run()
    assert (counts.successful, counts.failed) == (1, 0), caller.errors()
    assert phone.wait().successful == 1, phone.errors()
    (call,) = wait_for(
        lambda: [each for each in lab.request(f"{lab.node_http(1)}/v1/calls") if each["state"] == "over"],
        timeout_s=5,
        what="the call over",
    )
    return dict(call), port


def drain(homer: socket.socket) -> list[dict[str, Any]]:
    """All packets Homer got."""
    packets = []
    while True:
        try:
            packets.append(decode(homer.recv(65_536)))
        except BlockingIOError:
            return packets


def test_call_is_traced_live_and_kept_with_ladder_and_messages(lab: Lab, homer: socket.socket, tmp_path: Path) -> None:
    by_number = Trace(lab, "--number", "8000", "--pcap", str(tmp_path / "live.pcap"))
    registers = Trace(lab, "--method", "REGISTER")
    call, port = place_call(lab, tmp_path)
    lines, logons = by_number.stop(), registers.stop()

    legs = [leg["sip_call_id"] for leg in call["legs"]]
    by_leg = {leg: [start(line) for line in lines if line["call_id"] == leg] for leg in legs}
    assert list(by_leg.values()) == [CALLER_LEG, AGENT_LEG]
    assert {line["call_uid"] for line in lines} == {call["call_uid"]}
    assert {line["type"] for line in lines} == {"message"}

    assert [start(line) for line in logons] == ["REGISTER", "401 Unauthorized", "REGISTER", "200 OK"]
    assert "Authorization: (blanked)" in logons[2]["text"]
    assert "response=" not in json.dumps(logons)

    packets = read((tmp_path / "live.pcap").read_bytes())
    assert [packet.payload.decode() for packet in packets] == [line["text"] for line in lines]
    assert {packet.target[1] for packet in packets} >= {lab.sip(1)[1], port}

    ladder = lab.tasctl("call", call["call_uid"], "--ladder").stdout
    assert [ladder.count(word) for word in ("INVITE 8000", "180 Ringing", "200 OK (BYE)")] == [1, 1, 2]
    whole = json.loads(lab.tasctl("call", call["call_uid"], "--messages", "--json").stdout)["messages"]
    assert sorted(message["text"] for message in whole) == sorted(line["text"] for line in lines)
    assert "m=audio" in lab.tasctl("call", call["call_uid"], "--messages").stdout

    copies = drain(homer)
    assert "tas-1" in {copy["node"] for copy in copies}
    assert {line["text"].encode() for line in lines} <= {copy["payload"] for copy in copies}
    assert not any(b"response=" in copy["payload"] for copy in copies)


def test_nothing_reads_along_when_the_traces_are_over(lab: Lab) -> None:
    wait_for(lambda: taps(lab) == [1, 1], timeout_s=10, what="only the export to Homer listening")
    tracing = Trace(lab)
    assert taps(lab) == [2, 2]
    tracing.stop()
    wait_for(lambda: taps(lab) == [1, 1], timeout_s=10, what="no reader left")


def taps(lab: Lab) -> list[int]:
    """Who listens to each node's messages."""
    return [lab.node(number)["trace_taps"] for number in (1, 2)]
