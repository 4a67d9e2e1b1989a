"""The two configuration files that more than one process reads: agents.toml and queues.toml.

The TAS takes credentials and treatment from them, the agent broker takes logon and selection.
"""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

MAX_AGENTS = 10_000
MAX_QUEUES = 1_000


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SipPeerEntry(_Strict):
    """What a TAS wants of a SIP peer, be it an agent's phone or a call manager."""

    session_expires_s: int = Field(default=0, ge=0, le=86400)
    """Session interval (RFC 4028) to ask for, seconds; 0: none, the peer's wish is still accepted."""
    min_se_s: int = Field(default=90, ge=90, le=86400)
    """Shorter session intervals are refused with 422, seconds."""
    refresher: Literal["any", "us", "peer"] = "any"
    """Who is to refresh the session where the peer leaves it to us."""

    @model_validator(mode="after")
    def _expires_above_the_least(self) -> Self:
        if 0 < self.session_expires_s < self.min_se_s:
            raise ValueError(f"session_expires_s must be 0 or at least min_se_s ({self.min_se_s})")
        return self


class AgentEntry(SipPeerEntry):
    """One agent; the key of the table is the number, which is also the SIP user name."""

    name: str = ""
    password: SecretStr | None = None
    """Plain password; else both HA1 values (hex), RFC 7616 3.4.2: H(user:realm:password)."""
    ha1_sha256: SecretStr | None = None
    ha1_md5: SecretStr | None = None
    queues: list[str] = Field(default_factory=list)
    """Queues the agent serves, best first."""
    nat: bool = False
    """Learn the phone's RTP source instead of trusting the address in its SDP."""
    ready_at_logon: bool | None = None
    """True: Ready when the phone registers; False: NotReady (reason LOGON); absent: as agentbroker.toml says."""

    @model_validator(mode="after")
    def _has_secret(self) -> "AgentEntry":
        if self.password is None and self.ha1_sha256 is None and self.ha1_md5 is None:
            raise ValueError("give password, or ha1_sha256 and/or ha1_md5")
        return self


class AgentsFile(_Strict):
    """agents.toml."""

    agents: dict[str, AgentEntry] = Field(default_factory=dict, max_length=MAX_AGENTS)


class QueueEntry(_Strict):
    """One queue; option names and units (seconds) are those of Asterisk's queues.conf where it has them."""

    strategy: Literal["leastrecent", "fewestcalls", "linear"] = "leastrecent"
    timeout: float = Field(default=15.0, gt=0, le=300)
    """How long one agent's phone rings, seconds."""
    retry: float = Field(default=1.0, ge=0, le=60)
    """Pause before an agent who did not take a call (busy, declined) is tried again, seconds."""
    wrapuptime: float = Field(default=10.0, ge=0, le=3600)
    """WrapUp after a call, seconds; 0: Ready at once."""
    weight: int = Field(default=0, ge=0, le=100)
    """A queue with a higher weight gets a shared agent first."""
    maxlen: int = Field(default=0, ge=0)
    """Callers that may wait; 0: any number."""
    servicelevel: float = Field(default=20.0, gt=0)
    """Seconds within which an answer counts for the service level."""
    joinempty: bool = True
    """Whether callers may enter when no agent of the queue is logged on."""
    max_wait_s: float = Field(default=0.0, ge=0)
    """A caller who waited this long is released; 0: waits for ever."""
    welcome: str = ""
    """Prompt played once on entry; empty: none. Agents are rung meanwhile."""
    music: list[str] = Field(default_factory=list)
    """Prompts looped while waiting."""


class QueuesFile(_Strict):
    """queues.toml."""

    queues: dict[str, QueueEntry] = Field(default_factory=dict, max_length=MAX_QUEUES)
