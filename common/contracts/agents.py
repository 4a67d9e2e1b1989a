"""Agents as every process sees them: one vocabulary of states and reasons."""

from enum import StrEnum
from typing import Literal

import msgspec


class AgentState(StrEnum):
    """What an agent is doing, apart from why (reason) and from what the phone does (DeviceState)."""

    LOGGED_OUT = "LoggedOut"
    NOT_READY = "NotReady"
    READY = "Ready"
    RESERVED = "Reserved"
    RINGING = "Ringing"
    TALKING = "Talking"
    HOLD = "Hold"
    WRAP_UP = "WrapUp"


class SystemReason(StrEnum):
    """Reasons that only the system gives; user reasons are the texts "1" to "99"."""

    RNA = "RNA"
    """Rang, no answer."""
    REJECTED = "REJECTED"
    """The agent's phone answered busy or declined."""
    FAILOVER = "FAILOVER"
    NO_CAPACITY = "NO_CAPACITY"
    PHONE_DOWN = "PHONE_DOWN"
    LOGON = "LOGON"


Origin = Literal["agent", "supervisor", "system"]


class DeviceState(StrEnum):
    """The agent's phone."""

    UNREGISTERED = "unregistered"
    REGISTERED = "registered"
    IN_USE = "in_use"


class Binding(msgspec.Struct, frozen=True):
    """One contact of a phone (RFC 3261 10), shared by its edge node with all others over the bus."""

    aor: str
    """User part of the address of record, the agent's number: "1001"."""
    node: str
    """The edge TAS: the one the phone registered with."""
    contact: str
    """Contact URI as the phone gave it."""
    address: str
    """Source of the REGISTER, where requests go (RFC 3581)."""
    port: int
    transport: Literal["udp", "tcp", "tls"]
    instance: str = ""
    """+sip.instance, else empty."""
    user_agent: str = ""
    path: str = ""
    """Route to the phone through its edge (RFC 3327) when other nodes cannot reach it by address; else empty."""


class AgentView(msgspec.Struct, frozen=True):
    """An agent as the HTTP API and tasctl show it; times are seconds since the state began."""

    agent: str
    name: str
    state: AgentState
    reason: str
    origin: Origin
    state_s: float
    device: DeviceState
    node: str
    """Serving TAS, empty when logged out."""
    edge: str
    queues: list[str]
    call_uid: str = ""
    calls_taken: int = 0
