"""Text of others on a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasctl.text import cut, fit, printable, width


@given(st.text())
def test_nothing_that_a_terminal_would_obey_is_left(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown) == len(text)


@pytest.mark.parametrize(
    ("text", "columns"), [("", 0), ("1001", 4), ("Åsa", 3), ("北京", 4), ("e\u0301", 1), ("ＡＢ", 4)]
)
def test_width_counts_columns_not_characters(text: str, columns: int) -> None:
    assert width(text) == columns


@given(st.text(), st.integers(1, 40))
def test_cut_text_fits_and_says_that_it_was_cut(text: str, columns: int) -> None:
    shown = cut(text, columns)
    assert width(shown) <= columns
    assert shown == text or shown.endswith("…")


def test_fit_pads_either_side_by_columns() -> None:
    assert fit("北", 5) == "北   "
    assert fit("12", 5, right=True) == "   12"
    assert fit("too long", 3) == "too long"
