"""Cutting a stream into lines."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts.rpc import MAX_LINE_BYTES
from common.service.lines import LineSplitter, LineTooLong


@given(st.lists(st.binary(max_size=20)), st.lists(st.integers(0, 200)))
def test_lines_come_out_whole_however_the_stream_is_cut(parts: list[bytes], cuts: list[int]) -> None:
    stream = b"\n".join(parts)
    expected = stream.split(b"\n")[:-1]
    splitter = LineSplitter()
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    got = [line for start, end in pairwise(edges) for line in splitter.feed(stream[start:end])]
    assert got == expected


def test_line_at_the_limit_passes_and_one_byte_more_ends_the_link() -> None:
    splitter = LineSplitter(limit=10)
    assert splitter.feed(b"x" * 10) == []
    assert splitter.feed(b"\n") == [b"x" * 10]
    with pytest.raises(LineTooLong, match="10 bytes"):
        splitter.feed(b"x" * 11)


def test_long_line_is_refused_before_and_after_its_end() -> None:
    with pytest.raises(LineTooLong):
        LineSplitter(limit=10).feed(b"short\n" + b"x" * 11 + b"\nshort\n")
    splitter = LineSplitter(limit=10)
    splitter.feed(b"x" * 6)
    with pytest.raises(LineTooLong):
        splitter.feed(b"x" * 6)


def test_limit_is_that_of_the_contract() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"x" * MAX_LINE_BYTES) == []
    with pytest.raises(LineTooLong):
        splitter.feed(b"x")
