"""Settings of a TAS: tas.toml with environment overrides (OPENTAS_TAS__…), trunks.toml and routing.toml."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from common.contracts.media import Codec
from common.service.config import ConfigError, Settings, load_file, load_settings
from common.service.directory import AgentsFile, QueuesFile, SipPeerEntry
from common.service.urls import BusUrl, StoreUrl

ENV_PREFIX: Final = "OPENTAS_TAS__"
SHOWN_NAMES: Final = 20
"""Known names that an error text lists."""
Port = Field(ge=1, le=65535)


def _ipv4(value: str) -> str:
    try:
        IPv4Address(value)
    except AddressValueError:
        raise ValueError("must be an IPv4 address") from None
    return value


Ipv4 = Annotated[str, AfterValidator(_ipv4)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SipSettings(_Strict):
    """Where SIP is served."""

    address: Ipv4 = "127.0.0.1"
    udp_port: int = Field(default=5060, ge=1, le=65535)
    tcp_port: int = Field(default=5060, ge=1, le=65535)
    advertised: Annotated[str, AfterValidator(lambda value: value and _ipv4(value))] = ""
    """IPv4 address peers reach us at, when it is not `address`."""
    realm: str = Field(default="opentas", pattern=r"^[A-Za-z0-9.-]+$")
    t1_s: float = Field(default=0.5, gt=0, le=2)

    @model_validator(mode="after")
    def _reachable(self) -> SipSettings:
        if self.address == "0.0.0.0" and not self.advertised:
            raise ValueError("address 0.0.0.0 listens everywhere; give advertised, the address peers reach us at")
        return self


class MediaServerEntry(_Strict):
    """One media server's control address."""

    name: str
    host: str = "127.0.0.1"
    port: int = Port


class MediaSettings(_Strict):
    """The pool; every TAS uses every media server."""

    servers: list[MediaServerEntry] = Field(min_length=1)
    token_file: Path | None = None

    @field_validator("servers")
    @classmethod
    def _names_differ(cls, value: list[MediaServerEntry]) -> list[MediaServerEntry]:
        names = [server.name for server in value]
        if len(set(names)) < len(names):
            raise ValueError("every server needs a name of its own")
        return value


class BusSettings(_Strict):
    """The message bus."""

    url: BusUrl = "mqtt://127.0.0.1:1883"


class StoreSettings(_Strict):
    """The SQL store; `spool` holds CDRs while it is away."""

    url: StoreUrl = "sqlite:///var/opentas.sqlite"
    spool: Path = Path("var/cdr-spool.jsonl")


class HttpSettings(_Strict):
    """The node's HTTP API."""

    host: str = "127.0.0.1"
    port: int = Field(default=9101, ge=1, le=65535)
    tokens_file: Path | None = None


def _hep_target(value: str) -> str:
    parts = urlsplit(value)
    if value and (parts.scheme != "udp" or not parts.hostname or not parts.port or parts.path or parts.query):
        raise ValueError("must be udp://host:port, or empty: no export")
    return value


class TraceSettings(_Strict):
    """SIP messages: those kept for `tasctl call`, and copies for a Homer server."""

    ring_mb: int = Field(default=16, ge=0, le=1024)
    hep: Annotated[str, AfterValidator(_hep_target)] = ""
    hep_capture_id: int = Field(default=2001, ge=0, le=2**32 - 1)

    @property
    def hep_address(self) -> tuple[str, int] | None:
        """`hep` as (host, port)."""
        parts = urlsplit(self.hep)
        return (parts.hostname, parts.port) if parts.hostname and parts.port else None


class LimitSettings(_Strict):
    """What the node takes on at most."""

    max_calls: int = Field(default=2000, ge=1)
    max_contacts: int = Field(default=5, ge=1, le=20)
    """Contacts an agent may register."""


class LogSettings(_Strict):
    """Level 1-9, default 3."""

    level: int = Field(default=3, ge=1, le=9)


class FileSettings(_Strict):
    """The other files, relative to tas.toml."""

    agents: Path = Path("agents.toml")
    queues: Path = Path("queues.toml")
    trunks: Path = Path("trunks.toml")
    routing: Path = Path("routing.toml")


class TasSettings(Settings):
    """tas.toml."""

    node: str = Field(default="tas-1", pattern=r"^[a-z0-9-]{1,32}$")
    sip: SipSettings = SipSettings()
    media: MediaSettings
    bus: BusSettings = BusSettings()
    store: StoreSettings = StoreSettings()
    http: HttpSettings = HttpSettings()
    trace: TraceSettings = TraceSettings()
    limits: LimitSettings = LimitSettings()
    log: LogSettings = LogSettings()
    files: FileSettings = FileSettings()


class TrunkEntry(SipPeerEntry):
    """A call manager. What comes from `sources` is it; calls out go to `target`."""

    sources: list[Ipv4] = Field(min_length=1)
    target: str
    """host:port, IPv4."""
    transport: Literal["udp", "tcp"] = "udp"
    options_interval_s: float = Field(default=30.0, ge=0, le=3600)
    """OPTIONS to `target` this often; 0: never, the trunk counts as up."""
    codecs: list[Codec] = Field(default_factory=lambda: [Codec.PCMA, Codec.PCMU], min_length=1)
    max_channels: int = Field(default=0, ge=0)
    """Calls at the same time, both directions; 0: any number."""
    nat: bool = False
    """Learn the RTP source instead of trusting the SDP address."""

    @field_validator("target")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        host, separator, port = value.rpartition(":")
        if not separator or not port.isdecimal() or not 0 < int(port[:6]) <= 65535:
            raise ValueError('must be "host:port" with a port of 1-65535')
        _ipv4(host)
        return value

    @field_validator("codecs")
    @classmethod
    def _codecs_once(cls, value: list[Codec]) -> list[Codec]:
        return list(dict.fromkeys(value))

    @property
    def target_address(self) -> tuple[str, int]:
        """`target` as (host, port)."""
        host, _, port = self.target.rpartition(":")
        return host, int(port)


class TrunksFile(_Strict):
    """trunks.toml."""

    trunks: dict[str, TrunkEntry] = Field(default_factory=dict)


class Target(_Strict):
    """Where a number or a menu choice leads: exactly one key."""

    queue: str = ""
    menu: str = ""
    agent: str = ""
    echo: bool = False
    repeat: bool = False
    hangup: bool = False

    @model_validator(mode="after")
    def _exactly_one(self) -> Target:
        given = [name for name in type(self).model_fields if getattr(self, name)]
        if len(given) != 1:
            raise ValueError("give exactly one of queue, menu, agent, echo, repeat, hangup")
        return self


class OutsideEntry(_Strict):
    """Numbers that leave over a trunk."""

    prefix: str = Field(pattern=r"^[0-9+*#]+$")
    trunk: str
    strip: int = Field(default=0, ge=0, le=20)
    """Digits taken off the front."""


class MenuEntry(_Strict):
    """A menu: play `prompt`, take one digit."""

    prompt: str
    timeout_s: float = Field(default=5.0, gt=0, le=60)
    """Silence after the prompt's end until it is repeated."""
    repeats: int = Field(default=2, ge=0, le=10)
    """How often the prompt is repeated before on_timeout."""
    choices: dict[str, Target]
    on_timeout: Target = Target(hangup=True)

    @field_validator("choices")
    @classmethod
    def _digits(cls, value: dict[str, Target]) -> dict[str, Target]:
        bad = [digit for digit in value if len(digit) != 1 or digit not in "0123456789*#"]
        if bad:
            raise ValueError(f"choices must be single digits 0-9 * #, not {', '.join(bad)}")
        return value


class RoutingFile(_Strict):
    """routing.toml."""

    numbers: dict[str, Target] = Field(default_factory=dict)
    outside: list[OutsideEntry] = Field(default_factory=list)
    menus: dict[str, MenuEntry] = Field(default_factory=dict)

    @field_validator("numbers")
    @classmethod
    def _repeat_needs_a_menu(cls, value: dict[str, Target]) -> dict[str, Target]:
        bad = [number for number, target in value.items() if target.repeat]
        if bad:
            raise ValueError(f"repeat is for choices of menus, not for numbers: {', '.join(bad)}")
        return value


class TasConfig:
    """Everything a TAS read, checked against one another."""

    def __init__(
        self, settings: TasSettings, agents: AgentsFile, queues: QueuesFile, trunks: TrunksFile, routing: RoutingFile
    ) -> None:
        self.settings = settings
        self.agents = agents.agents
        self.queues = queues.queues
        self.trunks = trunks.trunks
        self.routing = routing


def load_config(path: Path) -> TasConfig:
    """Load tas.toml and the files it names; raises ConfigError."""
    settings = load_settings(TasSettings, path, env_prefix=ENV_PREFIX)
    folder = path.parent
    config = TasConfig(
        settings,
        load_file(AgentsFile, folder / settings.files.agents),
        load_file(QueuesFile, folder / settings.files.queues),
        load_file(TrunksFile, folder / settings.files.trunks),
        load_file(RoutingFile, folder / settings.files.routing),
    )
    _check_references(config, folder / settings.files.routing)
    _check_sources(config, folder / settings.files.trunks)
    return config


def _check_references(config: TasConfig, path: Path) -> None:
    """Names in routing.toml must exist where they point to."""
    routing = config.routing
    targets = [(f'numbers."{number}"', target) for number, target in routing.numbers.items()]
    for name, menu in routing.menus.items():
        targets += [(f"menus.{name}.choices.{digit}", target) for digit, target in menu.choices.items()]
        targets.append((f"menus.{name}.on_timeout", menu.on_timeout))
    known: dict[str, Mapping[str, object]] = {"queue": config.queues, "menu": routing.menus, "agent": config.agents}
    for key, target in targets:
        for kind, names in known.items():
            wanted = getattr(target, kind)
            if wanted and wanted not in names:
                raise ConfigError(f"{path}: {key}.{kind}: no such {kind}: {wanted}; known: {_some(names)}")
    for entry in routing.outside:
        if entry.trunk not in config.trunks:
            raise ConfigError(f"{path}: outside.trunk: no such trunk: {entry.trunk}; known: {_some(config.trunks)}")


def _check_sources(config: TasConfig, path: Path) -> None:
    """What comes from an address belongs to one trunk."""
    owners: dict[str, str] = {}
    for name, trunk in config.trunks.items():
        for source in trunk.sources:
            owner = owners.setdefault(source, name)
            if owner != name:
                raise ConfigError(f"{path}: trunks.{name}.sources: {source} is a source of trunk {owner} already")


def _some(names: Collection[str]) -> str:
    shown = list(names)[:SHOWN_NAMES]
    rest = len(names) - len(shown)
    return (", ".join(shown) or "none") + (f" and {rest} more" if rest else "")
