"""Bearer tokens and roles."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.service.config import ConfigError
from common.service.http.tokens import TokenStore


@pytest.fixture
def store() -> TokenStore:
    return TokenStore({"tok-v": "viewer", "tok-o": "operator"})


def test_operator_may_what_a_viewer_may_and_not_the_other_way_round(store: TokenStore) -> None:
    assert store.allows("tok-v", "viewer")
    assert not store.allows("tok-v", "operator")
    assert store.allows("tok-o", "viewer")
    assert store.allows("tok-o", "operator")


@pytest.mark.parametrize("token", ["", "tok", "tok-v ", "TOK-V", "tok-o\x00", "åäö", "\udcff\udc80", "x" * 10_000])
def test_unknown_token_has_no_role(store: TokenStore, token: str) -> None:
    assert store.role(token) is None
    assert not store.allows(token, "viewer")


def test_empty_store_lets_nobody_in() -> None:
    store = TokenStore.from_file(None)
    assert store.role("") is None
    assert not store.allows("", "viewer")


def test_file_gives_tokens_their_roles(tmp_path: Path) -> None:
    path = tmp_path / "tokens.toml"
    path.write_text('[tokens]\n"åäö" = "viewer"\nabc = "operator"\n', encoding="utf-8")
    store = TokenStore.from_file(path)
    assert (store.role("åäö"), store.role("abc")) == ("viewer", "operator")


def test_bad_file_is_refused_without_its_tokens(tmp_path: Path) -> None:
    path = tmp_path / "tokens.toml"
    path.write_text('[tokens]\ngeheim = "admin"\n')
    with pytest.raises(ConfigError, match=r"tokens\.toml: tokens\.….*'viewer' or 'operator'") as caught:
        TokenStore.from_file(path)
    assert "geheim" not in str(caught.value)
