"""The call detail record."""

import msgspec


class CdrRow(msgspec.Struct, frozen=True):
    """One row of table `cdr`; wall-clock times are UTC seconds, durations seconds."""

    call_uid: str
    node: str
    direction: str
    """in (from a trunk) | out (to a trunk) | internal"""
    caller: str
    called: str
    trunk: str
    queue: str
    agent: str
    started_at: float
    queued_at: float | None
    answered_at: float | None
    """When a person answered; a queued call's own 200 does not count."""
    ended_at: float
    wait_s: float
    ring_s: float
    talk_s: float
    result: str
    reason: str
    sip_cause: int
    q850_cause: int
    media_server: str
    codec_a: str
    codec_b: str
    packets_lost: int
