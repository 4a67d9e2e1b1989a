"""Tables."""

from __future__ import annotations

from tasctl.tables import table
from tasctl.text import width


def test_columns_stand_under_their_names_numbers_to_the_right() -> None:
    rows = [{"name": "tas-1", "calls": 3, "share": 0.125}, {"name": "broker-10", "calls": 1200, "share": 12.0}]
    assert table(rows, ["name", "calls", "share"]).splitlines() == [
        "NAME       CALLS  SHARE",
        "tas-1          3    0.1",
        "broker-10   1200   12.0",
    ]


def test_empty_values_show_as_a_dash_and_truth_as_a_word() -> None:
    row = {"a": "", "b": None, "c": [], "d": {}, "e": True, "f": False, "g": 0}
    assert table([row], list("abcdefgh")).splitlines()[1].split() == ["-", "-", "-", "-", "yes", "no", "0", "-"]


def test_lists_and_tables_in_cells_are_joined() -> None:
    assert table([{"x": ["a", 1.25], "y": {"tas-1": "up"}}], ["x", "y"]).splitlines()[1] == "a, 1.2  tas-1=up"


def test_wide_and_combining_characters_keep_the_next_column_in_place() -> None:
    rows = [{"name": name, "state": "Ready"} for name in ("Åsa", "北京客服", "e\u0301ric")]
    lines = table(rows, ["name", "state"]).splitlines()
    assert {width(line.rpartition("Ready")[0]) for line in lines[1:]} == {10}


def test_table_of_nothing_is_its_header() -> None:
    assert table([], ["name", "calls"]) == "NAME  CALLS"


def test_control_characters_never_break_a_line() -> None:
    shown = table([{"x": "a\r\nb\x1b[2J", "y": ["\x07"], "z": {"\n": "\t"}}], ["x", "y", "z"])
    assert len(shown.splitlines()) == 2
    assert "\x1b" not in shown
