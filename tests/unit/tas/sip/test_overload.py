"""Overload: lateness that lasts, not one stall."""

from __future__ import annotations

from tas.sip.overload import LATE_PROBES, LATE_S, Overload


def test_one_stall_however_long_sheds_nothing() -> None:
    overload = Overload()
    assert [overload.probe(lag_s) for lag_s in (0.0, 5.0, 0.0, 5.0, 0.001)] == [False] * 5
    assert overload.lag_s == 0.001


def test_lateness_that_lasts_sheds_from_the_third_probe_until_one_is_in_time() -> None:
    overload = Overload()
    late = [overload.probe(LATE_S + 0.001) for _ in range(LATE_PROBES + 1)]
    assert late == [False] * (LATE_PROBES - 1) + [True, True]
    assert not overload.probe(LATE_S)
    assert not overload.probe(LATE_S + 0.001)
