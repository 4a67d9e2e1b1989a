"""Connections of a node: 3,000 that say nothing keep nobody out, and a renewed certificate ends none."""

from __future__ import annotations

import os
import resource
import select
import shutil
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tasctl.lab.certificates import NAMES, Authority
from tests.system.support.lab import Lab, wait_for

pytestmark = pytest.mark.system

STALLED = 3_000
SERVED_WITHIN_S = 1.0
CLOSED_WITHIN_S = 15.0
SPARE_DESCRIPTORS = 500
CLIENT_HELLO_BEGUN = bytes.fromhex("1603010200010001fc0303")
OPTIONS = (
    b"OPTIONS sip:opentas SIP/2.0\r\nVia: SIP/2.0/%b 127.0.0.3;branch=z9hG4bK%b;rport\r\nMax-Forwards: 70\r\n"
    b"From: <sip:a@opentas>;tag=1\r\nTo: <sip:opentas>\r\nCall-ID: stalled\r\nCSeq: 1 OPTIONS\r\n"
    b"Content-Length: 0\r\n\r\n"
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab") / "var", tas=1, media=1)
    lab.start()
    yield lab
    lab.stop()


@contextmanager
def many_descriptors() -> Iterator[None]:
    """Room for all the sockets here; the node takes what the system grants by itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = STALLED + SPARE_DESCRIPTORS
    if hard not in (-1, resource.RLIM_INFINITY) and hard < needed:
        pytest.skip(f"the limit of open files is {hard}, {needed} are needed (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_stalled(lab: Lab, source: str) -> list[socket.socket]:
    """Connections from one address: to the TCP port, to the TLS port, and there some with half a ClientHello."""
    found = []
    for number in range(STALLED):
        target = lab.sip(1) if number % 2 else lab.sip_tls(1)
        stalled = socket.create_connection(target, timeout=10, source_address=(source, 0))
        found.append(stalled)
        if number % 4 == 0:
            try:
                stalled.send(CLIENT_HELLO_BEGUN)
            except OSError:
                continue  # refused already
    return found


def still_open(connections: list[socket.socket]) -> list[socket.socket]:
    """Those that the node has not closed."""
    poller = select.poll()
    by_number = {each.fileno(): each for each in connections}
    for number in by_number:
        poller.register(number, select.POLLIN)
    ended = {number for number, _ in poller.poll(0)}  # nothing is ever sent to them: readable is closed
    return [each for number, each in by_number.items() if number not in ended]


def connect_secured(lab: Lab) -> ssl.SSLSocket:
    """A client of another address that checks the node's certificate."""
    target = lab.sip_tls(1)
    connection = socket.create_connection(target, timeout=5, source_address=("127.0.0.3", 0))
    context = ssl.create_default_context(cafile=str(lab.var / "tls" / "ca.pem"))
    return context.wrap_socket(connection, server_hostname=target[0])


def assert_served(connection: socket.socket) -> None:
    """OPTIONS is answered."""
    transport = b"TLS" if isinstance(connection, ssl.SSLSocket) else b"TCP"
    connection.sendall(OPTIONS % (transport, os.urandom(8).hex().encode()))
    assert connection.recv(4096).startswith(b"SIP/2.0 200 ")


def served_within(lab: Lab, *, secured: bool) -> float:
    """Seconds a new client of another address needs from connecting to the answer to its OPTIONS."""
    began = time.monotonic()
    plain = ("127.0.0.3", 0)
    with connect_secured(lab) if secured else socket.create_connection(lab.sip(1), 5, plain) as connection:
        assert_served(connection)
        return time.monotonic() - began


@pytest.mark.parametrize("source", ["127.0.0.9", "127.0.0.2"], ids=["limited source", "trunk, exempt"])
def test_new_client_is_served_beside_3000_stalled_connections_which_are_closed_in_time(lab: Lab, source: str) -> None:
    with many_descriptors():
        began = time.monotonic()
        connections = open_stalled(lab, source)
        try:
            opened = time.monotonic()
            assert max(served_within(lab, secured=secured) for secured in (False, True)) <= SERVED_WITHIN_S
            held = len(still_open(connections))
            assert held == STALLED if source == "127.0.0.2" else held <= 256
            wait_for(
                lambda: not still_open(connections),
                timeout_s=CLOSED_WITHIN_S - (time.monotonic() - opened),
                what=f"all of {held} stalled connections closed",
            )
            assert max(served_within(lab, secured=secured) for secured in (False, True)) <= SERVED_WITHIN_S
        finally:
            for connection in connections:
                connection.close()
        print(f"{source}: opened in {opened - began:.1f} s, all closed {time.monotonic() - opened:.1f} s later")


def test_sighup_shows_new_callers_the_renewed_certificate_and_ends_no_connection(lab: Lab, tmp_path: Path) -> None:
    folder = lab.var / "tls"
    for name in ("ca.pem", "ca.key"):
        shutil.copy(folder / name, tmp_path)
    certificate, key = Authority(tmp_path).issue("node", NAMES)
    with connect_secured(lab) as old:
        assert_served(old)
        shutil.copy(key, folder / "node.key")
        shutil.copy(certificate, folder / "node.pem")
        os.kill(lab.pids["tas-1"], signal.SIGHUP)

        def renewed() -> bool:
            with connect_secured(lab) as new:
                assert_served(new)
                return new.getpeercert() != old.getpeercert()

        wait_for(renewed, timeout_s=5, what="the new certificate shown")
        assert_served(old)
