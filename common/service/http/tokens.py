"""Bearer tokens and their roles."""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from common.service.config import load_file

Role = Literal["viewer", "operator"]

_RANK: Final = {"viewer": 1, "operator": 2}


class TokensFile(BaseModel):
    """tokens.toml: `[tokens]` with `"<token>" = "viewer" | "operator"`."""

    model_config = ConfigDict(extra="forbid")
    secret_keys: ClassVar[bool] = True

    tokens: dict[str, Role] = Field(default_factory=dict, max_length=1000)


class TokenStore:
    """Checks tokens in constant time; an empty store lets nobody in."""

    def __init__(self, tokens: dict[str, Role]) -> None:
        self._tokens = {token.encode(): role for token, role in tokens.items()}

    @classmethod
    def from_file(cls, path: Path | None) -> TokenStore:
        """Read a tokens file; no path: an empty store. Raises ConfigError."""
        return cls({}) if path is None else cls(load_file(TokensFile, path).tokens)

    def role(self, token: str) -> Role | None:
        """The role of a token, None for an unknown one."""
        given = token.encode("utf-8", "surrogateescape")  # header bytes that are no UTF-8 come as surrogates
        found: Role | None = None
        for known, role in self._tokens.items():
            if hmac.compare_digest(known, given):
                found = role
        return found

    def allows(self, token: str, needed: Role) -> bool:
        """Whether a token has at least the role `needed`."""
        role = self.role(token)
        return role is not None and _RANK[role] >= _RANK[needed]
