"""Logs as JSON lines: ts, level, node, svc, msg and what is bound in context (call_uid, leg_id, agent, queue …)."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import structlog

DEFAULT_LEVEL: Final = 3

_LEVELS: Final = (logging.ERROR, logging.WARNING, *[logging.INFO] * 3, *[logging.DEBUG] * 4)
"""The guide's levels 1-9 (default 3) on those of Python's logging."""


def level_of(number: int) -> int:
    """logging's level for a level 1-9."""
    return _LEVELS[number - 1]


class _Lines:
    """Writes lines; a full disk or a closed pipe costs the line, never the call that was to be logged."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(line + "\n")
            self._stream.flush()

    log = debug = info = warn = warning = error = critical = fatal = exception = msg


class _LibraryLines(logging.Formatter):
    """What libraries log, in the same form."""

    def __init__(self, process: str, node: str) -> None:
        super().__init__()
        self._names = {"svc": process, "node": node}

    def format(self, record: logging.LogRecord) -> str:
        """One JSON line; a traceback is one of its strings."""
        ts = datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
        line = {"room": record.name, **self._names, "level": record.levelname.lower(), "ts": ts}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line | {"msg": record.getMessage()})


def configure_logs(*, process: str, node: str, level: int = DEFAULT_LEVEL, stream: TextIO | None = None) -> None:
    """Set up logging for the whole process; `level` is 1 (least) to 9 (most)."""
    target = stream or sys.stderr

    def add_names(_logger: Any, _method: str, event: Any) -> Any:
        event["svc"] = process
        event["node"] = node
        return event

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            add_names,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("msg"),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level_of(level)),
        logger_factory=lambda *_args: _Lines(target),
        cache_logger_on_first_use=True,
    )
    libraries = logging.StreamHandler(target)
    libraries.setFormatter(_LibraryLines(process, node))
    logging.basicConfig(level=logging.WARNING, handlers=[libraries])


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose lines carry `room`: the part of the process that speaks."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(room=name)
    return logger
