"""Reasons and the causes that go with them: SIP status (RFC 3261), Q.850 cause (RFC 4497 mapping)."""

from __future__ import annotations

from typing import Final

from common.contracts.outcome import Outcome, Reason, Result
from tas.routing.router import Destination, Kind
from tas.sip.reason import q850_cause

_CAUSES: Final[dict[Reason, tuple[Result, int, int]]] = {
    Reason.CALLER_HANGUP: (Result.ANSWERED, 200, 16),
    Reason.AGENT_HANGUP: (Result.ANSWERED, 200, 16),
    Reason.CALLED_HANGUP: (Result.ANSWERED, 200, 16),
    Reason.COMPLETED: (Result.ANSWERED, 200, 16),
    Reason.CALLER_CANCELLED: (Result.ABANDONED, 487, 16),
    Reason.BUSY: (Result.REJECTED, 486, 17),
    Reason.NO_ANSWER: (Result.REJECTED, 480, 19),
    Reason.DECLINED: (Result.REJECTED, 603, 21),
    Reason.UNKNOWN_NUMBER: (Result.REJECTED, 404, 1),
    Reason.NOT_REGISTERED: (Result.REJECTED, 480, 20),
    Reason.NOT_ALLOWED: (Result.REJECTED, 403, 21),
    Reason.NO_COMMON_CODEC: (Result.REJECTED, 488, 65),
    Reason.BAD_OFFER: (Result.REJECTED, 400, 95),
    Reason.MEDIA_FULL: (Result.REJECTED, 503, 34),
    Reason.MEDIA_LOST: (Result.FAILED, 500, 38),
    Reason.RTP_TIMEOUT: (Result.FAILED, 500, 38),
    Reason.SIGNALLING_TIMEOUT: (Result.FAILED, 408, 102),
    Reason.QUEUE_FULL: (Result.REJECTED, 480, 17),
    Reason.QUEUE_TIMEOUT: (Result.ABANDONED, 480, 19),
    Reason.QUEUE_UNAVAILABLE: (Result.REJECTED, 480, 20),
    Reason.MENU_TIMEOUT: (Result.ANSWERED, 200, 16),
    Reason.TRUNK_UNREACHABLE: (Result.REJECTED, 503, 38),
    Reason.TRUNK_REJECTED: (Result.REJECTED, 503, 21),
    Reason.DRAINING: (Result.REJECTED, 503, 41),
    Reason.SHUTDOWN: (Result.FAILED, 503, 41),
}


def outcome(
    reason: Reason, *, result: Result | None = None, sip_cause: int | None = None, said: bytes = b""
) -> Outcome:
    """The Outcome of a reason; `result` and `sip_cause` replace the usual ones, as does the Q.850 cause in `said`.

    `said` is the Reason header of the leg that ended the call.
    """
    usual, status, q850 = _CAUSES[reason]
    cause = q850_cause(said) if said else None
    return Outcome(
        result or usual, reason, sip_cause if sip_cause is not None else status, q850 if cause is None else cause
    )


def unreachable(destination: Destination) -> Reason:
    """Why a called party cannot even be called."""
    return Reason.NOT_REGISTERED if destination.kind is Kind.AGENT else Reason.TRUNK_UNREACHABLE


def rejection(status: int, *, trunk: bool, said: bytes = b"") -> Outcome:
    """The Outcome when the called party answers with a final `status` of 300 or more."""
    return outcome(_refused(status, trunk=trunk), sip_cause=480 if status == 503 and not trunk else status, said=said)


def _refused(status: int, *, trunk: bool) -> Reason:
    if status in (486, 600):
        return Reason.BUSY
    if status in (480, 408):
        return Reason.NO_ANSWER
    if status in (404, 484, 604):
        return Reason.UNKNOWN_NUMBER
    if status in (488, 606):
        return Reason.NO_COMMON_CODEC
    if trunk:
        return Reason.TRUNK_UNREACHABLE if status == 503 else Reason.TRUNK_REJECTED
    return Reason.NOT_REGISTERED if status == 503 else Reason.DECLINED


RELAYED: Final = frozenset((404, 408, 410, 480, 484, 486, 488, 503, 600, 603, 604, 606))
"""Refusals of the called party that mean the same to the caller; others become 480, for the caller's phone or call
manager must not act on them (401 and 407 are for us, 3xx would leave the contact centre, 5xx would reroute)."""


def relayed_status(status: int, *, trunk: bool) -> int:
    """What the caller is told when the called party refuses with `status`."""
    if status == 503 and not trunk:
        return 480  # one phone is away, not this server
    return status if status in RELAYED else 480
