"""Logs as JSON lines: ts, level, node, svc, msg and what is bound in context (call_uid, leg_id, agent, queue …)."""

from __future__ import annotations

import logging
import sys
from typing import Any, Final, TextIO

import structlog

DEFAULT_LEVEL: Final = 3

_LEVELS: Final = (logging.CRITICAL, logging.WARNING, *[logging.INFO] * 3, *[logging.DEBUG] * 4)
"""The guide's levels 1-9 (default 3) on those of Python's logging."""


def level_of(number: int) -> int:
    """logging's level for a level 1-9."""
    return _LEVELS[number - 1]


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
        logger_factory=structlog.WriteLoggerFactory(file=target),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=target, format='{"level":"%(levelname)s","msg":"%(message)s"}')


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose lines carry `room`: the part of the process that speaks."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(room=name)
    return logger
