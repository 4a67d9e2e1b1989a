"""Bad input at the doors: what is answered, what is dropped, and that nothing of it holds the server up."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.support.lab import ROOT, Lab, copy_configs, wait_for
from tests.system.support.rawsip import (
    QUIET_S,
    SDP,
    Answer,
    TcpPeer,
    UdpPeer,
    acknowledgement,
    authorization,
    request,
)

pytestmark = pytest.mark.system

STALL_S = 15.0
"""The server drops a stalled connection after 10 s and looks every 5 s."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    configs = copy_configs(folder / "configs", {"tas.toml": {"t1_s = 0.5": "t1_s = 0.1"}})
    lab = Lab(folder / "var", tas=1, media=1, configs=configs)
    lab.start()
    yield lab
    lab.stop()


@pytest.fixture(scope="module")
def slow(lab: Lab) -> Iterator[TcpPeer]:
    """A connection with half a message, from the module's beginning."""
    peer = TcpPeer(lab.sip(1))
    peer.send(b"OPTIONS sip:opentas SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.2;branch=z9hG4bKslow")
    yield peer
    peer.close()


@pytest.fixture
def trunk(lab: Lab, slow: TcpPeer) -> Iterator[UdpPeer]:
    """The call manager's address; after each test the server still answers at once."""
    peer = UdpPeer(lab.sip(1))
    yield peer
    peer.assert_prompt()
    peer.close()


@pytest.fixture
def phone(lab: Lab) -> Iterator[UdpPeer]:
    """An address that is no trunk's."""
    peer = UdpPeer(lab.sip(1), "127.0.0.1")
    yield peer
    peer.assert_prompt()
    peer.close()


# Callers without the right.


def register(phone: UdpPeer, user: str, password: str) -> list[Answer]:
    """The answers to a REGISTER without and with credentials."""
    address = {"From": f"<sip:{user}@opentas>;tag=r", "To": f"<sip:{user}@opentas>"}
    call_id = f"register-{user}-{password}-{phone.address[1]}@127.0.0.1"
    first = phone.final(request("REGISTER", user, source=phone.address, changes=dict(address), call_id=call_id))
    assert first.status == 401, first
    uri = f"sip:{user}@opentas"
    address["Authorization"] = authorization(first["www-authenticate"], "REGISTER", user, password, uri)
    second = phone.final(request("REGISTER", user, source=phone.address, changes=address, call_id=call_id, cseq=2))
    return [first, second]


def test_right_password_registers(phone: UdpPeer, lab: Lab) -> None:
    """The positive control of the tests with wrong ones."""
    assert [answer.status for answer in register(phone, "1005", "lab-1005")] == [401, 200]
    lab.wait_agent("1005", "Ready")


def test_wrong_password_is_challenged_and_then_forbidden(phone: UdpPeer) -> None:
    assert [answer.status for answer in register(phone, "1001", "wrong")] == [401, 403]


def shape(answer: Answer) -> tuple[int, str, list[str]]:
    """An answer without what differs from one request to the next: values of nonces, tags, branches."""
    texts = [f"{name}: {value}" for name, values in answer.headers.items() for value in values]
    masked = [
        re.sub(r'(nonce=")[^"]+|(tag=|branch=|call-id: )\S+|\b(?:1001|7777)\b|(rport=)\d+', r"\1\2\3", text)
        for text in texts
    ]
    return answer.status, answer.reason, masked


def test_unknown_user_is_answered_like_a_known_one(phone: UdpPeer) -> None:
    known = [shape(answer) for answer in register(phone, "1001", "wrong")]
    unknown = [shape(answer) for answer in register(phone, "7777", "wrong")]
    assert unknown == known


def test_call_without_credentials_is_challenged_and_with_wrong_ones_forbidden(phone: UdpPeer) -> None:
    body = SDP.format(formats="8")
    first = phone.final(request("INVITE", source=phone.address, body=body))
    assert first.status == 407
    credentials = authorization(first["proxy-authenticate"], "INVITE", "1001", "wrong", "sip:8000@opentas")
    changes: dict[str, str | None] = {"Proxy-Authorization": credentials}
    second = phone.final(request("INVITE", source=phone.address, body=body, changes=changes, cseq=2))
    assert second.status == 403


# Calls that cannot be.


@pytest.mark.parametrize(
    ("number", "formats", "status"),
    [("4711", "8", 404), ("8000", "18", 488), ("0123456", "8", 403), ("1004", "8", 480)],
)
def test_call_that_cannot_be_is_refused(trunk: UdpPeer, lab: Lab, number: str, formats: str, status: int) -> None:
    before = len(lab.cdrs())
    answer = trunk.final(request("INVITE", number, source=trunk.address, body=SDP.format(formats=formats)))
    assert answer.status == status, answer
    assert answer.reason
    (cdr,) = wait_for(lambda: lab.cdrs()[before:], timeout_s=5, what="the call's CDR")
    assert (cdr["result"], cdr["sip_cause"], cdr["called"]) == ("rejected", status, number)


def test_no_codec_in_common_names_ours(trunk: UdpPeer) -> None:
    answer = trunk.final(request("INVITE", source=trunk.address, body=SDP.format(formats="18")))
    assert "PCMA, PCMU" in answer.reason


# Requests that break a rule of RFC 3261.


@pytest.mark.parametrize(
    ("method", "changes", "status"),
    [
        ("INVITE", {"Max-Forwards": "0"}, 483),
        ("OPTIONS", {"Require": "sec-agree, foo"}, 420),
        ("INVITE", {"Require": "foo"}, 420),
        ("SUBSCRIBE", {"Event": "presence"}, 405),
        ("FROBNICATE", {}, 501),
        ("BYE", {"To": "<sip:8000@opentas>;tag=gone"}, 481),
        ("BYE", {}, 481),
        ("INFO", {"To": "<sip:8000@opentas>;tag=gone"}, 481),
        ("INVITE", {"To": "<sip:8000@opentas>;tag=gone"}, 481),
        ("CANCEL", {}, 481),
        ("INVITE", {"Content-Type": "text/plain"}, 415),
    ],
)
def test_request_that_breaks_a_rule_is_refused(
    trunk: UdpPeer, method: str, changes: dict[str, str | None], status: int
) -> None:
    body = SDP.format(formats="8") if method == "INVITE" else ""
    answer = trunk.final(request(method, source=trunk.address, changes=changes, body=body))
    assert answer.status == status, answer
    assert answer.reason
    if status == 420:
        assert answer["unsupported"] == changes["Require"]
    if status in (405, 501):
        assert "INVITE" in answer["allow"]


def test_other_version_is_505(trunk: UdpPeer) -> None:
    assert trunk.final(request("OPTIONS", source=trunk.address, version="SIP/3.0")).status == 505


def test_request_that_came_over_two_paths_is_482(trunk: UdpPeer) -> None:
    data = request("INVITE", "9196", source=trunk.address, body=SDP.format(formats="8"))
    trunk.send(data)
    again = data.replace(b"branch=z9hG4bK", b"branch=z9hG4bKagain")
    trunk.send(again)
    statuses = set()
    while not {200, 482} <= statuses:
        answer = trunk.receive()
        assert answer is not None, statuses
        statuses.add(answer.status)
        if answer.status == 482:
            trunk.send(acknowledgement(again, answer))
        if answer.status == 200:
            trunk.send(in_dialog("ACK", data, answer))
            trunk.send(in_dialog("BYE", data, answer))


def in_dialog(method: str, invite: bytes, answer: Answer) -> bytes:
    """An ACK or BYE in the dialog that `answer` made."""
    source = ("127.0.0.2", int(re.search(rb"127.0.0.2:(\d+)", invite)[1]))  # type: ignore[index]
    changes: dict[str, str | None] = {"From": answer["from"], "To": answer["to"]}
    return request(method, source=source, changes=changes, call_id=answer["call-id"], cseq=1 if method == "ACK" else 2)


def test_stray_and_broken_acks_are_never_answered(trunk: UdpPeer) -> None:
    trunk.send(request("ACK", source=trunk.address))
    trunk.send(request("ACK", source=trunk.address, changes={"To": "<sip:8000@opentas>;tag=gone"}))
    trunk.send(request("ACK", source=trunk.address, changes={"Require": "foo"}))
    trunk.send(request("ACK", source=trunk.address, changes={"CSeq": "x"}))
    trunk.send(request("ACK", source=trunk.address, version="SIP/3.0"))
    assert trunk.receive(QUIET_S) is None


# Bytes that are no message.

VIA = "SIP/2.0/UDP 127.0.0.2:{port};branch=z9hG4bKbad;rport"
REFUSED: dict[str, dict[str, str | None]] = {
    "CSeq of another method": {"CSeq": "1 INVITE"},
    "CSeq without number": {"CSeq": "OPTIONS"},
    "CSeq too large": {"CSeq": "99999999999 OPTIONS"},
    "Content-Length beyond the datagram": {"Content-Length": "4000"},
    "negative Content-Length": {"Content-Length": "-1"},
    "Content-Length no number": {"Content-Length": "ten"},
    "From without closing bracket": {"From": "<sip:0700@127.0.0.2;tag=x"},
    "To no URI": {"To": "<>"},
    "two Call-IDs": {"Call-ID": "a@b\r\nCall-ID: c@d"},
    "Max-Forwards no number": {"Max-Forwards": "many"},
    "Contact broken": {"Contact": '"unclosed <sip:x@y>'},
    "NUL in From": {"From": "<sip:07\x0000@127.0.0.2>;tag=\x00"},
}
DROPPED: dict[str, bytes] = {
    "garbage": bytes(range(256)) * 4,
    "NULs": bytes(2000),
    "text": b"GET / HTTP/1.1\r\nHost: opentas\r\n\r\n",
    "a response nobody waits for": b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKx\r\nCSeq: 1 INVITE\r\n\r\n",
    "a response out of range": b"SIP/2.0 999 Odd\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKx\r\n\r\n",
    "only a start line": b"INVITE sip:8000@opentas SIP/2.0\r\n\r\n",
    "ten thousand headers": b"OPTIONS sip:x@y SIP/2.0\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
    "ten thousand folded lines": b"OPTIONS sip:x@y SIP/2.0\r\nVia: x" + b"\r\n y" * 10_000 + b"\r\n\r\n",
    "60 kB of commas": b"OPTIONS sip:x@y SIP/2.0\r\nVia: " + b"," * 60_000 + b"\r\n\r\n",
    "60 kB of quotes": b"OPTIONS sip:x@y SIP/2.0\r\nVia: x\r\nFrom: " + b'"\\' * 30_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", REFUSED)
def test_malformed_message_gets_400_with_a_reason(trunk: UdpPeer, name: str) -> None:
    answer = trunk.final(request("OPTIONS", source=trunk.address, changes=REFUSED[name]))
    assert answer.status == 400, answer
    assert answer.reason not in ("", "Bad Request"), "the reason phrase says what is wrong"


@pytest.mark.parametrize("header", ["Via", "From", "To", "Call-ID", "CSeq"])
def test_message_without_a_mandatory_header_is_400_or_dropped(trunk: UdpPeer, header: str) -> None:
    trunk.send(request("OPTIONS", source=trunk.address, changes={header: None}))
    answer = trunk.receive(QUIET_S)
    assert answer is None or (answer.status == 400 and header in answer.reason), answer


@pytest.mark.parametrize("name", DROPPED)
def test_bytes_that_are_no_message_are_dropped(trunk: UdpPeer, name: str) -> None:
    trunk.send(DROPPED[name])
    assert trunk.receive(QUIET_S) is None


def test_largest_datagram_is_answered(trunk: UdpPeer) -> None:
    """60 kB of one header and of many are odd, but no fault."""
    one: dict[str, str | None] = {"X-Large": "x" * 60_000}
    assert trunk.final(request("OPTIONS", source=trunk.address, changes=one)).status == 200
    many: dict[str, str | None] = {f"X-{number}": "x" * 100 for number in range(490)}
    assert trunk.final(request("OPTIONS", source=trunk.address, changes=many)).status == 200


# Streams.


@pytest.fixture
def stream(lab: Lab, trunk: UdpPeer) -> Iterator[TcpPeer]:
    peer = TcpPeer(lab.sip(1))
    yield peer
    peer.close()


def test_stream_split_at_every_byte_is_one_message_each(stream: TcpPeer) -> None:
    data = request("OPTIONS", source=stream.address, transport="TCP")
    for at in range(1, len(data)):
        whole = request("OPTIONS", source=stream.address, transport="TCP")
        stream.send(whole[:at])
        stream.send(whole[at:])
    for _ in range(1, len(data)):
        answer = stream.receive()
        assert answer is not None
        assert answer.status == 200
    for byte in data:
        stream.send(bytes([byte]))
    last = stream.receive()
    assert last is not None
    assert last.status == 200


def test_two_messages_in_one_segment_are_two(stream: TcpPeer) -> None:
    one = request("OPTIONS", source=stream.address, transport="TCP", call_id="one")
    two = request("OPTIONS", source=stream.address, transport="TCP", call_id="two")
    stream.send(one + b"\r\n\r\n" + two)
    answers = [stream.receive(), stream.receive()]
    assert [answer and answer.get("call-id") for answer in answers] == ["one", "two"]


@pytest.mark.parametrize(
    "data",
    [
        b"OPTIONS sip:x@y SIP/2.0\r\nX: " + b"x" * 70_000,
        b"OPTIONS sip:x@y SIP/2.0\r\nContent-Length: 999999999\r\n\r\n",
        b"OPTIONS sip:x@y SIP/2.0\r\nContent-Length: -5\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS client\r\n\r\n",
        bytes(100_000),
    ],
    ids=["header of 70 kB", "body of 1 GB", "negative length", "TLS", "NULs"],
)
def test_stream_that_cannot_be_framed_is_closed(stream: TcpPeer, data: bytes) -> None:
    stream.send(data)
    stream.wait_closed(5)


@pytest.mark.parametrize(
    ("length", "status"), [(None, 400), ("999999999", 513)], ids=["without Content-Length", "body too large"]
)
def test_stream_fault_that_can_be_answered_is_and_then_closed(stream: TcpPeer, length: str | None, status: int) -> None:
    changes: dict[str, str | None] = {"Content-Length": length}
    stream.send(request("OPTIONS", source=stream.address, transport="TCP", changes=changes))
    answer = stream.receive()
    assert answer is not None
    assert answer.status == status, answer
    stream.wait_closed(5)


def test_connection_that_never_completes_a_message_is_dropped(slow: TcpPeer, trunk: UdpPeer) -> None:
    """A byte now and then is no life."""

    def dripped() -> bool:
        slow.send(b"x")
        return slow.is_closed()

    wait_for(dripped, timeout_s=STALL_S + 5, what="the slow connection closed")


# Configuration.


@pytest.mark.parametrize(
    ("module", "file", "changes", "faults"),
    [
        (
            "tas.app",
            "tas.toml",
            {"udp_port = 5060": "udp_prot = 5060", "tcp_port = 5060": "tcp_port = 99999"},
            {
                "sip.udp_prot": "unknown key; allowed: address, advertised, realm, t1_s, tcp_port, tls, udp_port",
                "sip.tcp_port": "Input should be less than or equal to 65535 (given: 99999)",
            },
        ),
        (
            "tas.app",
            "tas.toml",
            {"port = 5061": 'certificate = "absent.pem"'},
            {"sip.tls.certificate": "absent.pem: cannot be read; it must be a PEM file"},
        ),
        (
            "mediaserver.app",
            "mediaserver.toml",
            {"port_low =": "low_port ="},
            {"rtp.low_port": "unknown key; allowed: address, advertised, port_high, port_low, timeout_s"},
        ),
        (
            "agentbroker.app",
            "queues.toml",
            {'"leastrecent"': '"longest"'},
            {"queues.support.strategy": "Input should be 'leastrecent', 'fewestcalls' or 'linear' (given: 'longest')"},
        ),
    ],
)
def test_bad_configuration_stops_the_start_and_says_what_is_allowed(
    tmp_path: Path, module: str, file: str, changes: dict[str, str], faults: dict[str, str]
) -> None:
    configs = copy_configs(tmp_path / "configs", {file: changes})
    process = module.partition(".")[0]
    command = [sys.executable, "-m", module, "--config", str(configs / f"{process}.toml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr
    wanted = {f"{configs / file}: {key}: {fault}" for key, fault in faults.items()}
    assert set(done.stderr.splitlines()) == wanted


# After all of that.


def test_nothing_is_left_of_bad_input(lab: Lab) -> None:
    def left() -> list[str]:
        return [f"{name} = {value}" for name, value in lab.node(1)["counts"].items() if value]

    wait_for(lambda: not left(), timeout_s=45, what="no transaction, dialog or call left")
    assert not lab.tracebacks()
