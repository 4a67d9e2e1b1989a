"""The ports a lab needs: whether they are free is asked before anything starts."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Final

from tasctl.lab.plan import HOST, STANDARD_BASE, LabPlan

KINDS: Final = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
OTHER_BASES: Final = range(STANDARD_BASE + 500, 13000, 500)
"""Bases to propose; RTP stays below the ports Linux gives to outgoing connections (32768)."""


@dataclass(frozen=True)
class Port:
    """One port and what it is for."""

    number: int
    kind: str
    """tcp | udp"""
    use: str

    def is_free(self) -> bool:
        """Whether it can be bound now; connections that only linger (TIME_WAIT) do not count."""
        with socket.socket(socket.AF_INET, KINDS[self.kind]) as probe:
            if self.kind == "tcp":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, self.number))
                if self.kind == "tcp":
                    probe.listen()
            except OSError:
                return False
        return True


def ports_of(plan: LabPlan) -> list[Port]:
    """All but the RTP ports, of which a media server skips what is taken."""
    ports = [] if plan.bus_url else [Port(plan.bus_port, "tcp", "the bus")]
    for role, count in (("broker", plan.brokers), ("media", plan.media), ("tas", plan.tas)):
        ports += [Port(plan.http(role, n), "tcp", f"HTTP of {role}-{n}") for n in range(1, count + 1)]
    ports += [Port(plan.control(n), "tcp", f"control of media-{n}") for n in range(1, plan.media + 1)]
    ports += [Port(plan.sip(n), kind, f"SIP of tas-{n}") for n in range(1, plan.tas + 1) for kind in KINDS]
    ports += [Port(plan.sip_tls(n), "tcp", f"SIP over TLS of tas-{n}") for n in range(1, plan.tas + 1)]
    return ports


def taken_ports(plan: LabPlan) -> list[Port]:
    """Those that something else uses."""
    return [port for port in ports_of(plan) if not port.is_free()]


def refusal(plan: LabPlan, taken: list[Port]) -> str:
    """What to tell who wanted this lab."""
    lines = [f"{HOST}:{port.number}/{port.kind} ({port.use}) is taken by another process" for port in taken]
    first = taken[0]
    see = f"ss -ln{first.kind[0]}p 'sport = :{first.number}'"
    base = next((base for base in OTHER_BASES if not taken_ports(plan.moved(base))), None)
    other = f"LAB_PORT_BASE={base or '<port>'}"
    lines.append(f"stop what uses it ({see} names it), or move the whole lab: {other} make lab")
    return "\n".join(lines)
