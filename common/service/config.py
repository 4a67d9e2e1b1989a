"""Reading configuration: TOML files into strict pydantic models, environment variables on top.

An unknown or bad key is refused with the file (or the environment variable), the dotted key, what is wrong and what
is allowed.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
import types
import typing
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

ModelT = TypeVar("ModelT", bound=BaseModel)
SettingsT = TypeVar("SettingsT", bound="Settings")

Location = tuple[int | str, ...]

ENV_DELIMITER: Final = "__"
HIDDEN: Final = "…"
_SECRET_WORDS: Final = ("password", "ha1", "token", "secret")
_TABLE_EXPECTED: Final = ("model_type", "model_attributes_type", "dict_type")
_CREDENTIALS: Final = re.compile(r"//[^@/]*@")


class ConfigError(Exception):
    """A configuration that cannot be used; the text names file, key and what to change."""


def read_secret(key: str, path: Path | None) -> str:
    """The secret in a file, empty when none is configured; raises ConfigError naming `key` when it cannot be used."""
    if path is None:
        return ""
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{key}: {path} cannot be read: {error}") from error
    if not secret:
        raise ConfigError(f"{key}: {path} is empty; it must hold the shared secret")
    return secret


class Settings(BaseSettings):
    """Base of a process's settings. Precedence: environment (`<prefix>A__B=…`), then the TOML file."""

    model_config = SettingsConfigDict(extra="forbid", env_nested_delimiter=ENV_DELIMITER, env_ignore_empty=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment before file."""
        return env_settings, init_settings


def load_settings(model: type[SettingsT], path: Path, *, env_prefix: str) -> SettingsT:
    """Load a process's main file with overrides from the environment; raises ConfigError."""
    values = read_toml(path)
    variables = _variables(env_prefix)
    for location, name in variables.items():
        if location[0] not in model.model_fields:
            allowed = ", ".join(allowed_keys(model, ()))
            raise ConfigError(f"environment {name}: {location[0]}: unknown key; allowed: {allowed}")
    try:
        return model(_env_prefix=env_prefix, **values)
    except ValidationError as error:
        raise ConfigError(explain(model, path, error, variables)) from error
    except SettingsError as error:
        names = ", ".join(name for name in variables.values() if not _is_json(os.environ[name]))
        raise ConfigError(f"environment {names}: not valid JSON, in which tables and lists are given there") from error


def _variables(prefix: str) -> dict[Location, str]:
    """Environment variables that are settings, by the key they set; empty ones do not count."""
    return {
        tuple(name[len(prefix) :].lower().split(ENV_DELIMITER)): name
        for name, value in os.environ.items()
        if name.upper().startswith(prefix.upper()) and value
    }


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def load_file(model: type[ModelT], path: Path) -> ModelT:
    """Load a further file (agents, queues, trunks, routing); raises ConfigError."""
    values = read_toml(path)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError(explain(model, path, error)) from error


def read_toml(path: Path) -> dict[str, Any]:
    """Parse a TOML file; raises ConfigError when it is absent or no TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error


def explain(
    model: type[BaseModel], path: Path, error: ValidationError, variables: dict[Location, str] | None = None
) -> str:
    """All faults of a file, a line each: `file: key: problem (given: …)`, or `environment NAME: key: …`."""
    lines = []
    for fault in error.errors(include_url=False, include_context=False):
        location = fault["loc"]
        key = _shown_key(model, location)
        source = _source(path, location, variables or {})
        if fault["type"] == "extra_forbidden":
            lines.append(f"{source}: {key}: unknown key; allowed: {', '.join(allowed_keys(model, location[:-1]))}")
        elif fault["type"] == "missing":
            lines.append(f"{source}: {key}: is missing and has no default")
        else:
            hidden = isinstance(fault["input"], dict) or fault["type"] in _TABLE_EXPECTED
            given = "" if hidden else f" (given: {_shown(key, fault['input'])})"
            lines.append(f"{source}: {key}: {fault['msg'].removeprefix('Value error, ')}{given}")
    return "\n".join(lines)


def _source(path: Path, location: Location, variables: dict[Location, str]) -> str:
    for length in range(len(location), 0, -1):
        name = variables.get(tuple(str(part) for part in location[:length]))
        if name is not None:
            return f"environment {name}"
    return str(path)


def _shown_key(model: type[BaseModel], location: Location) -> str:
    """The dotted key; where a file's keys are the secrets (`secret_keys`) all but the tables' names is hidden."""
    secret = getattr(model, "secret_keys", False)
    parts = [HIDDEN if secret and part not in model.model_fields else str(part) for part in location]
    return ".".join(parts) or "(top level)"


def _shown(key: str, value: object) -> str:
    """A value for an error text; secrets stay secret."""
    if any(word in key for word in _SECRET_WORDS):
        return HIDDEN
    return _CREDENTIALS.sub(f"//{HIDDEN}@", repr(value))[:80]


def allowed_keys(model: type[BaseModel], location: Location) -> list[str]:
    """Keys that a table at `location` of a file of `model` may have."""
    current: Any = model
    for part in location:
        current = _step(current, part)
    found = _model_in(current)
    return sorted(found.model_fields) if found is not None else ["(any)"]


def _step(annotation: Any, part: int | str) -> Any:
    model = _model_in(annotation)
    if model is not None and part in model.model_fields:
        return model.model_fields[str(part)].annotation
    for candidate in _unwrap(annotation):
        arguments = typing.get_args(candidate)
        if typing.get_origin(candidate) in (dict, list, tuple) and arguments:
            return arguments[-1]
    return annotation


def _unwrap(annotation: Any) -> list[Any]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return list(typing.get_args(annotation))
    return [annotation]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    for candidate in _unwrap(annotation):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None
