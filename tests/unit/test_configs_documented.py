"""Every key that a settings model knows stands in the lab's file with its meaning and its default."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from agentbroker.config import BrokerSettings
from common.service.config import read_toml
from common.service.directory import AgentsFile, QueuesFile
from mediaserver.config import MediaServerSettings
from tas.config import MediaServerEntry, RoutingFile, Target, TasSettings, TrunksFile

LAB = Path(__file__).resolve().parents[2] / "configs" / "lab"
FILES: dict[str, type[BaseModel]] = {
    "tas.toml": TasSettings,
    "trunks.toml": TrunksFile,
    "routing.toml": RoutingFile,
    "mediaserver.toml": MediaServerSettings,
    "agentbroker.toml": BrokerSettings,
    "agents.toml": AgentsFile,
    "queues.toml": QueuesFile,
}
INLINE = (Target, MediaServerEntry)
"""Written inside braces: their keys need no line of their own, only to be named."""
LINE = re.compile(r"^(?:# )?(?P<key>[a-z0-9_]+) = (?P<value>.*?)(?:\s+# (?P<comment>.+))?$")
SECTION = re.compile(r"^\[\[?(?P<name>[^]]+)\]\]?(?:\s+# (?P<comment>.+))?$")


class Entry(NamedTuple):
    """A key of a file: what is given and what is said of it."""

    value: str
    comment: str


def entries(text: str) -> dict[tuple[str, ...], Entry]:
    """All keys of a file by path, those that are commented out included."""
    found: dict[tuple[str, ...], Entry] = {}
    section: tuple[str, ...] = ()
    for line in text.splitlines():
        heading, key = SECTION.match(line), LINE.match(line)
        if heading is not None:
            section = tuple(heading["name"].split("."))
            found.setdefault(section, Entry("", heading["comment"] or ""))
        elif key is not None:
            found.setdefault((*section, key["key"]), Entry(key["value"], key["comment"] or ""))
    return found


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Models that a field's type is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from models_in(argument)


def documented(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """(path, field) of every key that needs a line; "*" stands for a name somebody chose."""
    for name, field in model.model_fields.items():
        inner = next(models_in(field.annotation), None)
        if inner is None or inner in INLINE:
            yield (*path, name), field
        else:
            named = typing.get_origin(field.annotation) is dict
            yield from documented(inner, (*path, name, "*") if named else (*path, name))


def find(found: dict[tuple[str, ...], Entry], path: tuple[str, ...]) -> Entry | None:
    """The first entry whose path fits."""
    for candidate, entry in found.items():
        if len(candidate) == len(path) and all(want in ("*", part) for part, want in zip(candidate, path, strict=True)):
            return entry
    return None


def shown(value: object) -> str:
    """A default as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return "[" + ", ".join(shown(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str | Path) else str(value)


def says_default(entry: Entry, field: FieldInfo) -> bool:
    """The value is the default, or the comment tells the default or that there is none."""
    default = field.get_default(call_default_factory=True)
    return "default" in entry.comment or (default is not PydanticUndefined and entry.value == shown(default))


def faults(text: str, model: type[BaseModel]) -> list[str]:
    """What a file leaves unsaid."""
    found, wrong = entries(text), []
    for path, field in documented(model):
        entry, name = find(found, path), ".".join(path)
        if entry is None:
            wrong.append(f"{name}: not named")
        elif not entry.comment:
            wrong.append(f"{name}: no meaning")
        elif not says_default(entry, field):
            wrong.append(f"{name}: no default")
        for inner in models_in(field.annotation):
            wrong += [f"{name}: {key} not named" for key in inner.model_fields if not re.search(rf"\b{key}\b", text)]
    return wrong


@pytest.mark.parametrize("name", FILES)
def test_lab_file_names_every_key_with_meaning_and_default(name: str) -> None:
    assert faults((LAB / name).read_text(encoding="utf-8"), FILES[name]) == []


@pytest.mark.parametrize("name", FILES)
def test_lab_file_is_accepted_by_its_model_alone(name: str) -> None:
    FILES[name](**read_toml(LAB / name))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[log]\nlevel = 3", "log.level: no meaning"),
        ("[log]\nlevel = 4  # 1 to 9", "log.level: no default"),
        ("[log]", "log.level: not named"),
    ],
)
def test_gap_in_a_file_is_found(text: str, fault: str) -> None:
    assert fault in faults(text, BrokerSettings)


def test_key_that_is_commented_out_counts_as_named() -> None:
    assert "http.tokens_file: not named" not in faults("[http]\n# tokens_file = 1  # default none", BrokerSettings)


def test_optional_types_and_collections_are_looked_into() -> None:
    optional: types.UnionType = Target | None
    assert list(models_in(optional)) == [Target]
    assert list(models_in(dict[str, list[Target]])) == [Target]
