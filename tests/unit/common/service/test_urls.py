"""URLs of bus and store: refused where they are configured."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.service.urls import check_bus_url, check_store_url, sqlite_path


@pytest.mark.parametrize("url", ["mqtt://127.0.0.1", "mqtt://user:pass@bus.example:1884"])
def test_bus_url_of_the_right_form_is_taken(url: str) -> None:
    assert check_bus_url(url) == url


@pytest.mark.parametrize("url", ["http://127.0.0.1", "mqtt://", "127.0.0.1:1883", "mqtt://host:99999", ""])
def test_other_bus_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"mqtt://|Port"):
        check_bus_url(url)


def test_store_url_is_a_file_or_a_database() -> None:
    assert sqlite_path("sqlite:///var/opentas.sqlite") == Path("var/opentas.sqlite")
    assert sqlite_path("sqlite:////srv/opentas.sqlite") == Path("/srv/opentas.sqlite")
    assert sqlite_path("postgresql://user:password@host/database") is None


@pytest.mark.parametrize("url", ["oracle://x", "sqlite://", "sqlite:///", "postgresql://", "opentas.sqlite", ""])
def test_other_store_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="sqlite:///path/to/file or postgresql://"):
        check_store_url(url)
