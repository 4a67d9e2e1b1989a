"""Identifiers that more than one process must agree on."""

from typing import Final, NewType

CallUid = NewType("CallUid", str)
"""One customer contact, for its whole life and over every node: `<node>-<hex time ms>-<hex random>`."""

LegId = NewType("LegId", str)
"""One dialog of a call: `<call_uid>.<n>`, n counted from 1 in the order the legs were made."""

SessionId = NewType("SessionId", str)
"""The media of one leg: equal to its LegId, so that one grep finds both."""

OfferId = NewType("OfferId", str)
"""One presentation of a queued call to one agent."""

CALL_UID_RANDOM_BYTES: Final = 5


def make_call_uid(node: str, wall_ms: int, random: bytes) -> CallUid:
    """Build a call_uid; `random` is CALL_UID_RANDOM_BYTES long, `wall_ms` is Unix time in milliseconds."""
    return CallUid(f"{node}-{wall_ms:x}-{random.hex()}")


def make_leg_id(call_uid: CallUid, number: int) -> LegId:
    """Build the id of a call's `number`-th leg (1 = the leg that brought the call)."""
    return LegId(f"{call_uid}.{number}")
