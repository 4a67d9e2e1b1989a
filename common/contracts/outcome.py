"""The one Outcome in which every call ends: read by CDR, metrics, log and CSTA alike."""

from enum import StrEnum

import msgspec


class Result(StrEnum):
    """What became of a call, as the caller would say it."""

    ANSWERED = "answered"
    """Two parties talked, or a treatment (echo, menu) ran its course."""
    ABANDONED = "abandoned"
    """The caller went before anybody answered."""
    REJECTED = "rejected"
    """Refused before it was answered: bad number, no codec, full, busy."""
    FAILED = "failed"
    """Ended by a fault: time-out, media lost, node down."""


class Reason(StrEnum):
    """Why; one value per cause that an engineer would treat differently."""

    CALLER_HANGUP = "caller_hangup"
    AGENT_HANGUP = "agent_hangup"
    CALLED_HANGUP = "called_hangup"
    COMPLETED = "completed"
    CALLER_CANCELLED = "caller_cancelled"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    DECLINED = "declined"
    UNKNOWN_NUMBER = "unknown_number"
    NOT_REGISTERED = "not_registered"
    NOT_ALLOWED = "not_allowed"
    NO_COMMON_CODEC = "no_common_codec"
    BAD_OFFER = "bad_offer"
    MEDIA_FULL = "media_full"
    MEDIA_LOST = "media_lost"
    RTP_TIMEOUT = "rtp_timeout"
    SIGNALLING_TIMEOUT = "signalling_timeout"
    QUEUE_FULL = "queue_full"
    QUEUE_TIMEOUT = "queue_timeout"
    QUEUE_UNAVAILABLE = "queue_unavailable"
    MENU_TIMEOUT = "menu_timeout"
    TRUNK_UNREACHABLE = "trunk_unreachable"
    TRUNK_REJECTED = "trunk_rejected"
    DRAINING = "draining"
    SHUTDOWN = "shutdown"


class Outcome(msgspec.Struct, frozen=True):
    """The end of a call: `sip_cause` is a SIP status (200 after a BYE), `q850_cause` a Q.850 value (16 normal)."""

    result: Result
    reason: Reason
    sip_cause: int
    q850_cause: int
