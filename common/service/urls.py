"""The URLs of bus and store, checked where they are configured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator

BUS_FORM: Final = "mqtt://[user:password@]host[:port]"
STORE_FORMS: Final = "sqlite:///path/to/file or postgresql://user:password@host/database"


def check_bus_url(url: str) -> str:
    """The URL itself; raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme != "mqtt" or not parts.hostname:
        raise ValueError(f"must be {BUS_FORM}")
    _ = parts.port  # a malformed one raises
    return url


def sqlite_path(url: str) -> Path | None:
    """The file of a sqlite URL, None for PostgreSQL; raises ValueError for anything else."""
    scheme, separator, rest = url.partition("://")
    if scheme == "sqlite" and separator and rest.removeprefix("/"):
        return Path(rest.removeprefix("/"))
    if scheme in ("postgresql", "postgres") and separator and rest:
        return None
    raise ValueError(f"must be {STORE_FORMS}")


def check_store_url(url: str) -> str:
    """The URL itself; raises ValueError."""
    sqlite_path(url)
    return url


BusUrl = Annotated[str, AfterValidator(check_bus_url)]
StoreUrl = Annotated[str, AfterValidator(check_store_url)]
