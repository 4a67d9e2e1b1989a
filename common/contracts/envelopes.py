"""The envelope of every bus message (JSON, MQTT 3.1.1 payload)."""

import msgspec


class Envelope(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who says it, in which life of its process, in which order, under which leadership."""

    src: str
    """Node name: tas-1, broker-2."""
    inc: str
    """Incarnation: new at each start of the process."""
    seq: int
    """Counts from 1 within (src, inc, topic); a gap means something was lost: ask for a snapshot."""
    body: msgspec.Raw
    epoch: int = 0
    """Leadership epoch for commands of the broker; 0 where it does not apply."""
    cid: str = ""
    """Correlation id of a request and its reply."""
    reply_to: str = ""
    exp: float = 0.0
    """Seconds after receipt of which the message is void; 0: never."""


class Presence(msgspec.Struct, frozen=True, omit_defaults=True):
    """Retained on presence topics, repeated on heartbeat topics, and the last will (state "gone")."""

    node: str
    role: str
    """tas | broker | media"""
    inc: str
    state: str
    """up | draining | gone"""
    sip_address: str = ""
    """host:port other TAS nodes reach this one at (UDP and TCP)."""
    sip_tls: str = ""
    """The same over TLS; empty where it is not served."""
    http: str = ""
    """host:port of the node's HTTP API."""
    leader_epoch: int = 0
    """Brokers: the epoch it leads with, 0 when standby."""
