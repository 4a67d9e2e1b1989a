"""Rows of the tests."""

from __future__ import annotations

from typing import Any

from tas.cdr.model import CdrRow


def row(number: int = 1, **other: Any) -> CdrRow:
    """An ordinary row."""
    values: dict[str, Any] = {
        "call_uid": f"tas-1-{number:06d}", "node": "tas-1", "direction": "in", "caller": "0451234", "called": "8000",
        "trunk": "pbx", "queue": "support", "agent": "1001", "started_at": 1000.0, "queued_at": 1000.1,
        "answered_at": 1005.0, "ended_at": 1065.0, "wait_s": 4.9, "ring_s": 2.0, "talk_s": 60.0, "result": "answered",
        "reason": "caller_hangup", "sip_cause": 200, "q850_cause": 16, "media_server": "media-1", "codec_a": "PCMA",
        "codec_b": "PCMA", "packets_lost": 0,
    }  # fmt: skip
    return CdrRow(**(values | other))
