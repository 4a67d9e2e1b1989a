"""What the transactions, usages and the layer of one node share: tables, timers, the out-box and the settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tas.sip.flow import Address, Flow, Send
from tas.sip.timers import Timers
from tas.sip.tokens import Tokens
from tas.sip.trace import MessageTrace

if TYPE_CHECKING:
    from tas.sip.events import Event
    from tas.sip.invite.usage import InviteUsage
    from tas.sip.transaction.client import ClientTransaction
    from tas.sip.transaction.server import ServerTransaction

ServerKey = tuple[bytes, ...]
ClientKey = tuple[bytes, bytes]
FlowKey = int | Address

DEFAULT_ALLOW: Final = b"INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, REGISTER"
DEFAULT_SUPPORTED: Final = (b"timer",)
CONTACT_USER: Final = b"tas"


class LayerSettings:
    """How this node shows itself; `udp` and `tcp` are the advertised host and port, None when it has no such door."""

    __slots__ = ("allow", "supported", "t1", "t2", "t4", "tcp", "udp", "user_agent")

    def __init__(
        self,
        udp: Address | None = None,
        tcp: Address | None = None,
        user_agent: bytes = b"OpenTAS",
        allow: bytes = DEFAULT_ALLOW,
        supported: tuple[bytes, ...] = DEFAULT_SUPPORTED,
        t1: float = 0.5,
        t2: float = 4.0,
        t4: float = 5.0,
    ) -> None:
        self.udp = udp
        self.tcp = tcp
        self.user_agent = user_agent
        self.allow = allow
        self.supported = supported
        self.t1 = t1  # round-trip estimate
        self.t2 = t2  # longest interval between retransmissions
        self.t4 = t4  # longest life of a message in the network


def host_port(address: Address) -> bytes:
    """`host:port` as it stands in a Via or URI; an IPv6 address gets brackets."""
    host = address[0].encode()
    if b":" in host and not host.startswith(b"["):
        host = b"[" + host + b"]"
    return b"%b:%d" % (host, address[1])


class Core:
    """Shared by everything of one layer; holds no protocol of its own."""

    __slots__ = (
        "capabilities", "clients", "contacts", "events", "flow_clients", "host", "identity", "merged", "over", "random",
        "sends", "server", "servers", "settings", "t1", "t1x64", "t2", "t4", "timers", "tokens", "trace", "usages",
        "vias",
    )  # fmt: skip

    def __init__(self, random: Callable[[int], bytes], settings: LayerSettings, trace: MessageTrace | None) -> None:
        self.settings = settings
        self.random = random
        self.tokens = Tokens(random)
        self.trace = trace
        self.timers = Timers()
        self.sends: list[Send] = []
        self.events: list[Event] = []
        self.clients: dict[ClientKey, ClientTransaction] = {}
        self.servers: dict[ServerKey, ServerTransaction] = {}
        self.merged: dict[tuple[bytes, bytes, bytes], ServerTransaction] = {}
        self.flow_clients: dict[FlowKey, set[ClientTransaction]] = {}
        self.usages: dict[bytes, InviteUsage] = {}
        """By our tag."""
        self.over: list[InviteUsage] = []
        """Ended since the user last fetched events."""
        self.t1 = settings.t1
        self.t2 = settings.t2
        self.t4 = settings.t4
        self.t1x64 = 64 * settings.t1
        self.host = b""
        self.vias: dict[str, bytes] = {}
        self.contacts: dict[str, bytes] = {}
        self.advertise()
        self.server = b"\r\nServer: " + settings.user_agent if settings.user_agent else b""
        self.identity = b"\r\nUser-Agent: " + settings.user_agent if settings.user_agent else b""
        self.capabilities = b"\r\nAllow: " + settings.allow
        if settings.supported:
            self.capabilities += b"\r\nSupported: " + b", ".join(settings.supported)

    def local_address(self, transport: str) -> Address:
        """Where we are reached over a transport."""
        settings = self.settings
        udp = settings.udp or settings.tcp or ("127.0.0.1", 5060)
        return udp if transport == "udp" else settings.tcp or udp

    def advertise(self) -> None:
        """Render the Via and Contact of each transport."""
        udp, tcp = self.local_address("udp"), self.local_address("tcp")
        self.host = udp[0].encode()
        self.vias = {
            "udp": b"SIP/2.0/UDP %b;rport;branch=" % host_port(udp),
            "tcp": b"SIP/2.0/TCP %b;rport;branch=" % host_port(tcp),
        }
        self.contacts = {
            "udp": b"\r\nContact: <sip:%b@%b>" % (CONTACT_USER, host_port(udp)),
            "tcp": b"\r\nContact: <sip:%b@%b;transport=tcp>" % (CONTACT_USER, host_port(tcp)),
        }

    def send(self, flow: Flow, data: bytes, call_id: bytes, now: float) -> None:
        """Put a message into the out-box."""
        self.sends.append(Send(flow, data))
        if self.trace is not None:
            self.trace.record(call_id, now, True, flow, data)

    def random_below(self, limit: int) -> int:
        """A random integer 0..limit-1 (limit <= 65536)."""
        return int.from_bytes(self.random(2), "big") * limit >> 16
