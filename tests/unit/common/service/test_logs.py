"""Logs: one JSON object a line, whoever speaks, and never a reason to fail."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from common.service.logs import configure_logs, get_logger, level_of


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Leave no trace of a test's configuration."""
    root = logging.getLogger()
    level = root.level
    yield
    root.handlers.clear()  # pytest puts its own there anew for each phase
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def configured(level: int = 3) -> io.StringIO:
    """Configure as a process does at its start: nobody has a handler yet."""
    logging.getLogger().handlers.clear()
    stream = io.StringIO()
    configure_logs(process="tas", node="tas-1", level=level, stream=stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_line_has_time_level_process_node_room_and_message() -> None:
    stream = configured()
    get_logger("calls").info("call ended", call_uid="c1", q850=16)
    (line,) = lines(stream)
    assert line.pop("ts").endswith("Z")
    assert line == {
        "svc": "tas",
        "node": "tas-1",
        "level": "info",
        "room": "calls",
        "msg": "call ended",
        "call_uid": "c1",
        "q850": 16,
    }


def test_bound_context_stands_in_every_line() -> None:
    stream = configured()
    structlog.contextvars.bind_contextvars(call_uid="c1", leg_id="c1.1", agent="1001")
    get_logger("a").info("one")
    get_logger("b").warning("two", agent="1002")
    assert [(line["call_uid"], line["leg_id"], line["agent"]) for line in lines(stream)] == [
        ("c1", "c1.1", "1001"),
        ("c1", "c1.1", "1002"),
    ]


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        (1, ["error"]),
        (2, ["warning", "error"]),
        (3, ["info", "warning", "error"]),
        (5, ["info", "warning", "error"]),
        (6, ["debug", "info", "warning", "error"]),
        (9, ["debug", "info", "warning", "error"]),
    ],
)
def test_levels_one_to_nine_show_more_and_more(level: int, shown: list[str]) -> None:
    stream = configured(level)
    for name in ("debug", "info", "warning", "error"):
        getattr(get_logger("x"), name)("said")
    assert [line["level"] for line in lines(stream)] == shown


def test_levels_never_show_less_than_the_one_below() -> None:
    numbers = [level_of(level) for level in range(1, 10)]
    assert numbers == sorted(numbers, reverse=True)


def test_exception_is_one_line() -> None:
    stream = configured()
    try:
        raise ValueError("bad\nthing")
    except ValueError:
        get_logger("x").exception("failed")
    (line,) = lines(stream)
    assert "ValueError: bad\nthing" in line["exception"]


def test_lines_of_libraries_are_json_too() -> None:
    stream = configured()
    library = logging.getLogger("asyncio")
    library.info("not shown")
    library.warning('say "%s"\n', "hi")
    try:
        raise KeyError("k")
    except KeyError:
        library.exception("task failed")
    first, second = lines(stream)
    assert (first["msg"], first["level"], first["room"], first["node"]) == ('say "hi"\n', "warning", "asyncio", "tas-1")
    assert "KeyError" in second["exception"]


def test_values_that_json_does_not_know_are_shown_somehow() -> None:
    stream = configured()
    get_logger("x").info("odd", raw=b"\xff", thing=object, text="\u2028\ud800")
    (line,) = lines(stream)
    assert line["raw"] == "b'\\xff'"


class FullDisk(io.StringIO):
    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")


def test_log_that_cannot_be_written_does_not_fail_who_logs() -> None:
    configure_logs(process="tas", node="tas-1", stream=FullDisk())
    get_logger("x").error("lost")
    closed = io.StringIO()
    structlog.reset_defaults()
    configure_logs(process="tas", node="tas-1", stream=closed)
    closed.close()
    get_logger("x").error("lost too")
