"""Settings of a media server: mediaserver.toml with environment overrides (OPENTAS_MEDIASERVER__…)."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

from common.contracts.media import CONNECTION_POINTS_LIMIT
from common.service.config import Settings

ENV_PREFIX: Final = "OPENTAS_MEDIASERVER__"


UNSPECIFIED: Final = "0.0.0.0"


def _is_ipv4(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RtpSettings(_Strict):
    """Where RTP is served."""

    address: str = "127.0.0.1"
    advertised: str = ""
    """IPv4 address for SDP, when it is not `address`."""
    port_low: int = Field(default=20000, ge=1024, le=65534)
    port_high: int = Field(default=21999, ge=1025, le=65535)
    timeout_s: float = Field(default=60.0, ge=0, le=3600)
    """A peer that should send is reported after this long a silence; 0: never."""

    @model_validator(mode="after")
    def _addresses(self) -> RtpSettings:
        for key, text in (("address", self.address), ("advertised", self.advertised)):
            if text and not _is_ipv4(text):
                raise ValueError(f"{key} must be an IPv4 address, not {text!r}")
        if self.address == UNSPECIFIED and self.advertised in ("", UNSPECIFIED):
            raise ValueError(f"address {UNSPECIFIED} needs advertised: peers must be told where to send")
        return self

    @model_validator(mode="after")
    def _range(self) -> RtpSettings:
        if self.port_high <= self.port_low:
            raise ValueError("port_high must be above port_low")
        return self


class ControlSettings(_Strict):
    """Where TAS nodes connect to."""

    host: str = "127.0.0.1"
    port: int = Field(default=9201, ge=1, le=65535)
    token_file: Path | None = None
    """Shared secret with the TAS nodes; without it only loopback is bound."""

    @model_validator(mode="after")
    def _loopback_without_token(self) -> ControlSettings:
        if self.token_file is None and not self.host.startswith("127."):
            raise ValueError("without token_file only a loopback address (127.x.x.x) may be bound")
        return self


class EngineSettings(_Strict):
    """The native engine."""

    connection_points: int = Field(default=CONNECTION_POINTS_LIMIT, ge=1, le=CONNECTION_POINTS_LIMIT)
    shards: int = Field(default=1, ge=1, le=16)
    realtime_priority: int = Field(default=10, ge=0, le=99)
    """SCHED_FIFO priority of the shard threads; 0: do not ask for it."""


class PromptSettings(_Strict):
    """WAV files, 8 kHz mono 16 bit; a prompt's name is its file's without .wav."""

    folder: Path = Path("sounds")


class HttpSettings(_Strict):
    """The server's HTTP API."""

    host: str = "127.0.0.1"
    port: int = Field(default=9301, ge=1, le=65535)
    tokens_file: Path | None = None


class LogSettings(_Strict):
    """Level 1-9, default 3."""

    level: int = Field(default=3, ge=1, le=9)


class MediaServerSettings(Settings):
    """mediaserver.toml; relative paths are relative to it."""

    name: str = Field(default="media-1", pattern=r"^[a-z0-9-]{1,32}$")
    rtp: RtpSettings = RtpSettings()
    control: ControlSettings = ControlSettings()
    engine: EngineSettings = EngineSettings()
    prompts: PromptSettings = PromptSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _ports_for_all(self) -> MediaServerSettings:
        ports = (self.rtp.port_high - self.rtp.port_low - self.rtp.port_low % 2) // 2 + 1
        if ports < self.engine.connection_points:
            raise ValueError(
                f"rtp.port_low to rtp.port_high has {ports} even ports, too few for "
                f"{self.engine.connection_points} engine.connection_points"
            )
        return self
