"""SIP messages as a node shows them: GET /v1/trace streams them as JSON lines, GET /v1/calls/{uid}/messages lists them.

Values of Authorization and Proxy-Authorization are blanked before a message gets here.
"""

import msgspec


class TraceMessage(msgspec.Struct, frozen=True, tag="message", omit_defaults=True):
    """One message on the wire."""

    at: float
    """Unix time in seconds, by the node's clock."""
    node: str
    sent: bool
    """By the node; else received."""
    transport: str
    local: str
    """ip:port of the node's door."""
    peer: str
    """ip:port"""
    call_id: str
    text: str = ""
    data: bytes = b""
    """In place of `text` when the message is not UTF-8."""
    call_uid: str = ""
    """Empty when it belongs to no call the node knows."""
    cut: int = 0
    """Bytes that were on the wire and are not here."""

    @property
    def payload(self) -> bytes:
        """The message's bytes."""
        return self.data or self.text.encode()


class TraceLost(msgspec.Struct, frozen=True, tag="lost"):
    """The reader was too slow: `count` messages it should have got at this place are gone."""

    node: str
    count: int


TraceLine = TraceMessage | TraceLost
