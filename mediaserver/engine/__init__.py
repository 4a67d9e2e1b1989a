"""The one importer of the native engine."""

from mediaserver.engine._engine import (
    EVENT_DIGIT,
    EVENT_FIRST_PACKET,
    EVENT_PLAY_FINISHED,
    EVENT_RTP_TIMEOUT,
    PCMA,
    PCMU,
    Engine,
    EngineBusy,
    decode,
    encode,
)

__all__ = [
    "EVENT_DIGIT",
    "EVENT_FIRST_PACKET",
    "EVENT_PLAY_FINISHED",
    "EVENT_RTP_TIMEOUT",
    "PCMA",
    "PCMU",
    "Engine",
    "EngineBusy",
    "decode",
    "encode",
]
