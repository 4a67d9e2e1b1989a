"""Where a message came from and where the next one goes (RFC 5626's sense of "flow")."""

from typing import Final, Literal

TransportName = Literal["udp", "tcp", "tls"]
Address = tuple[str, int]

NO_CONNECTION: Final = 0
"""`Flow.connection` of UDP, and of a TCP or TLS flow that is still to be connected."""


class Flow:
    """One path to a peer, compared by identity; the endpoint keeps one per connection or UDP peer."""

    __slots__ = ("alive", "connection", "local", "remote", "transport")

    def __init__(
        self, transport: TransportName, remote: Address, local: Address = ("", 0), connection: int = NO_CONNECTION
    ) -> None:
        self.transport: TransportName = transport
        self.remote = remote
        self.local = local
        self.connection = connection
        self.alive = True  # False once the connection is lost

    @property
    def reliable(self) -> bool:
        """True when the transport itself retransmits."""
        return self.transport != "udp"

    def __repr__(self) -> str:
        return f"Flow({self.transport} {self.remote[0]}:{self.remote[1]} #{self.connection})"


class Send:
    """One message on its way out: a datagram, or bytes for the flow's connection (made first when it has none)."""

    __slots__ = ("data", "flow")

    def __init__(self, flow: Flow, data: bytes) -> None:
        self.flow = flow
        self.data = data
