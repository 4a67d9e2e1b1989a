"""The Reason header (RFC 3326): why a peer ended or refused a call, to be told to the other end of it."""

from __future__ import annotations

from typing import Final

from tas.sip.grammar import SipSyntaxError, parse_number, parse_params
from tas.sip.headers import split_commas
from tas.sip.message import Message

MAX_REASON_BYTES: Final = 256
"""A longer one is left out: no gateway writes it, and it would only fill messages and tables."""
MAX_Q850: Final = 127


def reason_of(message: Message | None) -> bytes:
    """The value of a message's Reason header, several joined; empty when there is none."""
    if message is None or message.get(b"reason") is None:
        return b""
    value = b", ".join(message.get_all(b"reason"))
    return value if len(value) <= MAX_REASON_BYTES else b""


def q850_cause(reason: bytes) -> int | None:
    """The Q.850 cause in the value of a Reason header, None when it has no (readable) one."""
    for part in split_commas(reason):
        protocol, _, rest = part.partition(b";")
        if protocol.strip().upper() != b"Q.850":
            continue
        try:
            return parse_number(parse_params(b";" + rest).get(b"cause") or b"", "cause", MAX_Q850) or None
        except SipSyntaxError:
            return None
    return None
