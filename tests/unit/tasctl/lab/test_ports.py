"""Ports are asked for before anything starts."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tasctl.lab.plan import HOST, LabPlan
from tasctl.lab.ports import Port, ports_of, refusal, taken_ports


def plan(**more: str) -> LabPlan:
    return LabPlan(1, 1, 1, Path("configs"), Path("var"), **more)  # type: ignore[arg-type]


def test_every_listener_of_a_lab_is_asked_for() -> None:
    assert {(port.number, port.kind, port.use) for port in ports_of(plan())} == {
        (18830, "tcp", "the bus"),
        (8080, "tcp", "HTTP of broker-1"),
        (9301, "tcp", "HTTP of media-1"),
        (9201, "tcp", "control of media-1"),
        (9101, "tcp", "HTTP of tas-1"),
        (5060, "tcp", "SIP of tas-1"),
        (5061, "tcp", "SIP over TLS of tas-1"),
        (5060, "udp", "SIP of tas-1"),
    }


@pytest.mark.parametrize(
    ("kind", "type_"), [("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)], ids=["tcp", "udp"]
)
@pytest.mark.parametrize("host", [HOST, "0.0.0.0"])
def test_port_is_taken_while_somebody_has_it(kind: str, type_: socket.SocketKind, host: str) -> None:
    with socket.socket(socket.AF_INET, type_) as other:
        other.bind((host, 0))
        if kind == "tcp":
            other.listen()
        port = Port(other.getsockname()[1], kind, "SIP of tas-1")
        assert not port.is_free()
    assert port.is_free()


def test_connection_that_only_lingers_does_not_take_the_port() -> None:
    with socket.create_server((HOST, 0)) as server:
        number = server.getsockname()[1]
        client = socket.create_connection((HOST, number))
        accepted, _ = server.accept()
        accepted.close()  # the server closes first: its side stays in TIME_WAIT
        client.close()
    assert Port(number, "tcp", "x").is_free()


def test_refusal_names_each_port_its_use_and_both_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    bound = {5060, 5560, 6060}
    monkeypatch.setattr(Port, "is_free", lambda self: self.number not in bound)
    taken = taken_ports(plan())
    assert refusal(plan(), taken).splitlines() == [
        "127.0.0.1:5060/tcp (SIP of tas-1) is taken by another process",
        "127.0.0.1:5060/udp (SIP of tas-1) is taken by another process",
        "stop what uses it (ss -lntp 'sport = :5060' names it), or move the whole lab: LAB_PORT_BASE=6560 make lab",
    ]


def test_refusal_proposes_no_base_when_none_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Port, "is_free", lambda _self: False)
    assert refusal(plan(), taken_ports(plan())).endswith("move the whole lab: LAB_PORT_BASE=<port> make lab")
