"""Reason (RFC 3326) as peers write it."""

from __future__ import annotations

import pytest

from tas.sip.reason import MAX_REASON_BYTES, q850_cause, reason_of
from tests.unit.tas.sip.support import make_request


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b'Q.850;cause=16;text="Normal call clearing"', 16),
        (b"q.850 ; cause=34", 34),
        (b'SIP ;cause=200 ;text="Call completed elsewhere", Q.850;cause=26', 26),
        (b'SIP;cause=487;text="a, Q.850;cause=1"', None),
        (b"Q.850;text=x", None),
        (b"Q.850;cause=128", None),
        (b"Q.850;cause=0", None),
        (b"Q.850;cause=", None),
        (b"Q.850;=x", None),
        (b"Q.850", None),
        (b"", None),
    ],
)
def test_q850_cause_is_read_wherever_it_stands(value: bytes, expected: int | None) -> None:
    assert q850_cause(value) == expected


def test_several_headers_are_one_value() -> None:
    request = make_request(b"BYE", extra=b"Reason: SIP;cause=200\r\nReason: Q.850;cause=26\r\n")
    assert reason_of(request) == b"SIP;cause=200, Q.850;cause=26"


def test_absent_or_overlong_reason_is_empty() -> None:
    assert reason_of(None) == b""
    assert reason_of(make_request(b"BYE")) == b""
    fitting = b"x" * MAX_REASON_BYTES
    assert reason_of(make_request(b"BYE", extra=b"Reason: %b\r\n" % fitting)) == fitting
    assert reason_of(make_request(b"BYE", extra=b"Reason: %bx\r\n" % fitting)) == b""
