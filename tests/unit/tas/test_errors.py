"""Errors that carry what to answer."""

from __future__ import annotations

from tas.errors import CallRefused, SdpError


def test_refusal_has_status_and_reason_and_reads_as_both() -> None:
    error = CallRefused(404, "Not Found")
    assert (error.status, error.reason, str(error)) == (404, "Not Found", "404 Not Found")


def test_bad_session_description_is_a_refusal() -> None:
    assert isinstance(SdpError(488, "no audio stream"), CallRefused)
