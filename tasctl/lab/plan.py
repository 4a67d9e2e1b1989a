"""What a lab consists of: ports, children, their command lines and environment. Pure: nothing is started here."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"
STANDARD_BASE: Final = 5060
"""tas-1's SIP port without LAB_PORT_BASE; every other port keeps its distance to it."""
BUS_PORT: Final = 18830
RTP_PORTS: Final = 2000
"""Ports of one media server."""
PBX_PORT: Final = 5080
PHONE_PORTS: Final = (18860, 18861)
"""SIP and remote control of the phone to try, outside every range above."""
LOWEST_BASE: Final = 1024
HIGHEST_PORT: Final = 65535


class PlanError(Exception):
    """A lab that cannot be; the text says why."""


@dataclass(frozen=True)
class Secrets:
    """What the lab's processes know each other by."""

    operator_token: str
    media_token_file: Path
    tokens_file: Path
    bus_user: str
    bus_password: str


@dataclass(frozen=True)
class Certificates:
    """What the lab's nodes show in TLS, and the CA that phones may believe."""

    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True)
class Child:
    """One process to start."""

    name: str
    role: str
    arguments: list[str]
    environment: dict[str, str]
    url: str
    config: Path


@dataclass(frozen=True)
class LabPlan:
    """Numbers of processes, where ports begin, and the folders."""

    tas: int
    media: int
    brokers: int
    configs: Path
    var: Path
    base: int = STANDARD_BASE
    trunks_file: Path | None = None
    """Replaces the one of tas.toml when ports are moved: the call manager's port moves along."""
    certificates: Certificates | None = None
    """None: no TLS."""
    bus_url: str = ""
    """A bus of the site's instead of the embedded one."""
    store_url: str = ""
    """A store of the site's instead of SQLite in the var folder."""
    ranges: dict[str, tuple[int, int]] = field(
        default_factory=lambda: {"tas": (1, 99), "media": (1, 6), "broker": (1, 9)}
    )

    def check(self) -> None:
        """Raises PlanError when counts or ports do not fit."""
        for role, count in (("tas", self.tas), ("media", self.media), ("broker", self.brokers)):
            low, high = self.ranges[role]
            if not low <= count <= high:
                raise PlanError(f"{role}: {count}: a lab has {low} to {high} of them")
        highest = self.base + HIGHEST_PORT - max(self.rtp(self.media)[1], self.phone_ports[1])
        if not LOWEST_BASE <= self.base <= highest:
            raise PlanError(f"LAB_PORT_BASE: {self.base}: must be from {LOWEST_BASE} to {highest} for this lab")
        self._check_url("--bus", self.bus_url, ("mqtt",), "mqtt://[user:password@]host[:port]")
        schemes = ("postgresql", "postgres", "sqlite")
        self._check_url(
            "--store", self.store_url, schemes, "postgresql://user:password@host/database or sqlite:///path"
        )

    def _check_url(self, option: str, url: str, schemes: tuple[str, ...], forms: str) -> None:
        scheme, separator, rest = url.partition("://")
        if url and not (scheme in schemes and separator and rest):
            raise PlanError(f"{option}: must be {forms}")

    def moved(self, base: int) -> LabPlan:
        """The same lab on other ports."""
        return replace(self, base=base)

    @property
    def offset(self) -> int:
        """How far every port is moved."""
        return self.base - STANDARD_BASE

    @property
    def bus_port(self) -> int:
        """MQTT listener."""
        return BUS_PORT + self.offset

    @property
    def pbx_port(self) -> int:
        """Where calls out to trunk `pbx` go."""
        return PBX_PORT + self.offset

    @property
    def phone_ports(self) -> tuple[int, int]:
        """SIP and remote control of the phone to try."""
        return PHONE_PORTS[0] + self.offset, PHONE_PORTS[1] + self.offset

    def sip(self, number: int) -> int:
        """SIP port of tas-`number`, UDP and TCP."""
        return self.base + 10 * (number - 1)

    def sip_tls(self, number: int) -> int:
        """SIP port of tas-`number` over TLS."""
        return self.sip(number) + 1

    def control(self, number: int) -> int:
        """Control port of media-`number`."""
        return 9200 + number + self.offset

    def rtp(self, number: int) -> tuple[int, int]:
        """First and last RTP port of media-`number`."""
        low = 20000 + RTP_PORTS * (number - 1) + self.offset
        return low, low + RTP_PORTS - 1

    def http(self, role: str, number: int) -> int:
        """HTTP port of a process."""
        first = {"tas": 9101, "media": 9301, "broker": 8080}[role]
        return first + number - 1 + self.offset

    def url(self, role: str, number: int) -> str:
        """HTTP address of a process."""
        return f"http://{HOST}:{self.http(role, number)}"


def children(plan: LabPlan, secrets: Secrets) -> list[Child]:
    """All Python processes of a lab in starting order."""
    return [
        *[_broker(plan, secrets, number) for number in range(1, plan.brokers + 1)],
        *[_media(plan, secrets, number) for number in range(1, plan.media + 1)],
        *[_tas(plan, secrets, number) for number in range(1, plan.tas + 1)],
    ]


def _child(plan: LabPlan, role: str, number: int, module: str, config: str, settings: dict[str, object]) -> Child:
    path = plan.configs / config
    package = module.partition(".")[0]
    prefix = f"OPENTAS_{package.upper()}__"
    environment = {prefix + key: str(value) for key, value in settings.items()}
    arguments = [sys.executable, "-m", module, "--config", str(path)]
    return Child(f"{role}-{number}", role, arguments, environment, plan.url(role, number), path)


def _shared(plan: LabPlan, secrets: Secrets, role: str, number: int) -> dict[str, object]:
    return {"HTTP__PORT": plan.http(role, number), "HTTP__TOKENS_FILE": secrets.tokens_file}


def _bus_and_store(plan: LabPlan, secrets: Secrets) -> dict[str, object]:
    embedded = f"mqtt://{secrets.bus_user}:{secrets.bus_password}@{HOST}:{plan.bus_port}"
    return {
        "BUS__URL": plan.bus_url or embedded,
        "STORE__URL": plan.store_url or f"sqlite:///{plan.var / 'opentas.sqlite'}",
    }


def _broker(plan: LabPlan, secrets: Secrets, number: int) -> Child:
    settings = _shared(plan, secrets, "broker", number) | _bus_and_store(plan, secrets)
    settings |= {"NODE": f"broker-{number}"}
    return _child(plan, "broker", number, "agentbroker.app", "agentbroker.toml", settings)


def _media(plan: LabPlan, secrets: Secrets, number: int) -> Child:
    low, high = plan.rtp(number)
    settings = _shared(plan, secrets, "media", number) | {
        "NAME": f"media-{number}",
        "CONTROL__PORT": plan.control(number),
        "CONTROL__TOKEN_FILE": secrets.media_token_file,
        "RTP__PORT_LOW": low,
        "RTP__PORT_HIGH": high,
    }
    return _child(plan, "media", number, "mediaserver.app", "mediaserver.toml", settings)


def _tas(plan: LabPlan, secrets: Secrets, number: int) -> Child:
    servers = [{"name": f"media-{n}", "host": HOST, "port": plan.control(n)} for n in range(1, plan.media + 1)]
    settings = _shared(plan, secrets, "tas", number) | _bus_and_store(plan, secrets)
    settings |= {
        "NODE": f"tas-{number}",
        "SIP__UDP_PORT": plan.sip(number),
        "SIP__TCP_PORT": plan.sip(number),
        "MEDIA__SERVERS": json.dumps(servers),
        "MEDIA__TOKEN_FILE": secrets.media_token_file,
        "STORE__SPOOL": plan.var / f"tas-{number}-cdr-spool.jsonl",
    }
    if plan.certificates is not None:
        settings |= {
            "SIP__TLS__PORT": plan.sip_tls(number),
            "SIP__TLS__CERTIFICATE": plan.certificates.certificate,
            "SIP__TLS__KEY": plan.certificates.key,
            "SIP__TLS__CA": plan.certificates.ca,
        }
    if plan.trunks_file is not None:
        settings["FILES__TRUNKS"] = plan.trunks_file
    return _child(plan, "tas", number, "tas.app", "tas.toml", settings)
