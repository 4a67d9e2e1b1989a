"""Settings of an agent broker: agentbroker.toml with environment overrides (OPENTAS_AGENTBROKER__…)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from common.service.config import ConfigError, Settings, load_file, load_settings
from common.service.directory import AgentEntry, AgentsFile, QueueEntry, QueuesFile
from common.service.urls import BusUrl, StoreUrl

ENV_PREFIX: Final = "OPENTAS_AGENTBROKER__"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BusSettings(_Strict):
    """The message bus."""

    url: BusUrl = "mqtt://127.0.0.1:1883"


class StoreSettings(_Strict):
    """The SQL store: lease, placement, activity."""

    url: StoreUrl = "sqlite:///var/opentas.sqlite"


class HttpSettings(_Strict):
    """API and console."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    tokens_file: Path | None = None


class LogonSettings(_Strict):
    """What a logon does."""

    ready_at_logon: bool = True
    """True: Ready when the phone registers; False: NotReady (LOGON) until somebody says Ready."""


class LogSettings(_Strict):
    """Level 1-9, default 3."""

    level: int = Field(default=3, ge=1, le=9)


class FileSettings(_Strict):
    """The other files, relative to agentbroker.toml."""

    agents: Path = Path("agents.toml")
    queues: Path = Path("queues.toml")


class BrokerSettings(Settings):
    """agentbroker.toml."""

    node: str = Field(default="broker-1", pattern=r"^[a-z0-9-]{1,32}$")
    bus: BusSettings = BusSettings()
    store: StoreSettings = StoreSettings()
    http: HttpSettings = HttpSettings()
    logon: LogonSettings = LogonSettings()
    log: LogSettings = LogSettings()
    files: FileSettings = FileSettings()


class BrokerConfig:
    """Everything a broker read."""

    def __init__(self, settings: BrokerSettings, agents: dict[str, AgentEntry], queues: dict[str, QueueEntry]) -> None:
        self.settings = settings
        self.agents = agents
        self.queues = queues


def load_config(path: Path) -> BrokerConfig:
    """Load agentbroker.toml and the files it names; raises ConfigError."""
    settings = load_settings(BrokerSettings, path, env_prefix=ENV_PREFIX)
    agents_path = path.parent / settings.files.agents
    agents = load_file(AgentsFile, agents_path).agents
    queues = load_file(QueuesFile, path.parent / settings.files.queues).queues
    for number, entry in agents.items():
        for name in entry.queues:
            if name not in queues:
                known = ", ".join(queues) or "none"
                raise ConfigError(f"{agents_path}: agents.{number}.queues: no such queue: {name}; known: {known}")
    return BrokerConfig(settings, agents, queues)
