"""Which core runs: the choice by switch and manifest, and the finder that carries it out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from common.service import compiled
from common.service.compiled import (
    FOLDER_SWITCH,
    MANIFEST,
    ROOT,
    SUFFIX,
    SWITCH,
    CompiledFinder,
    Core,
    Manifest,
    digest,
    module_file,
    sip_core,
    unfit,
    use_compiled_core,
)

SOURCE = "tas/sip/uri.py"


@pytest.fixture(autouse=True)
def undone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The choice of the running process stays as it is; the folder is the test's."""
    monkeypatch.setattr(compiled, "_core", Core())
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setenv(FOLDER_SWITCH, str(tmp_path))
    monkeypatch.delenv(SWITCH, raising=False)


def manifest(**changes: object) -> Manifest:
    """One that fits the sources as they are."""
    return msgspec.structs.replace(Manifest(SUFFIX, ["tas.sip.uri"], {SOURCE: digest(ROOT / SOURCE)}), **changes)


def built(folder: Path, **changes: object) -> None:
    (folder / MANIFEST).write_bytes(msgspec.json.encode(manifest(**changes)))


def finders() -> list[CompiledFinder]:
    return [finder for finder in sys.meta_path[:1] if isinstance(finder, CompiledFinder)]


def test_sources_as_they_were_compiled_fit() -> None:
    assert unfit(manifest()) == ""


def test_changed_source_is_named() -> None:
    assert unfit(manifest(sources={SOURCE: "0" * 64})) == f"the compiled core is stale: {SOURCE} has changed"


def test_source_that_is_gone_counts_as_changed(tmp_path: Path) -> None:
    assert unfit(manifest(), tmp_path) == f"the compiled core is stale: {SOURCE} has changed"


def test_another_python_is_named() -> None:
    assert "another Python (.cpython-399.so" in unfit(manifest(suffix=".cpython-399.so"))


def test_nothing_built_is_pure_without_a_word() -> None:
    use_compiled_core()
    assert (sip_core(), finders()) == (Core("pure"), [])


def test_compiled_core_that_fits_is_used(tmp_path: Path) -> None:
    built(tmp_path)
    use_compiled_core()
    assert sip_core() == Core("compiled")
    (finder,) = finders()
    spec = finder.find_spec("tas.sip.uri", None)
    assert spec is not None
    assert spec.origin == str(module_file(tmp_path, "tas.sip.uri"))
    assert finder.find_spec("tas.sip.aio.udp", None) is None


def test_stale_core_is_left_and_the_reason_kept(tmp_path: Path) -> None:
    built(tmp_path, sources={SOURCE: "0" * 64})
    use_compiled_core()
    assert (sip_core().kind, finders()) == ("pure", [])
    assert SOURCE in sip_core().reason


def test_0_is_pure_whatever_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built(tmp_path)
    monkeypatch.setenv(SWITCH, "0")
    use_compiled_core()
    assert (sip_core(), finders()) == (Core("pure"), [])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [(None, "there is no compiled core"), ({"sources": {SOURCE: ""}}, f"stale: {SOURCE} has changed")],
)
def test_1_refuses_to_start_without_a_compiled_core_that_fits(
    changes: dict[str, object] | None, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if changes is not None:
        built(tmp_path, **changes)
    monkeypatch.setenv(SWITCH, "1")
    with pytest.raises(ImportError, match=reason):
        use_compiled_core()
    assert finders() == []


def test_tas_says_its_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "0")
    command = [sys.executable, "-m", "tas.app", "--version"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    assert said.startswith("opentas-tas ")
    assert said.endswith(", sip core: pure\n")
