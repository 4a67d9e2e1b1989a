"""Finds the compiled core that `OPENTAS_MYPYC=1 make setup` made, or says why the pure one runs.

The compiled modules lie in a folder of their own, never beside the sources, with the digests of every source that went
into them. All of them are used or none: compiled modules know one another's memory, so one that is older than its
source would not be wrong but fatal.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from hashlib import sha256
from importlib.abc import MetaPathFinder
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from sysconfig import get_config_var
from types import ModuleType
from typing import Final

import msgspec

ROOT: Final = Path(__file__).resolve().parents[2]
SWITCH: Final = "OPENTAS_MYPYC"
"""0: the pure core; 1: the compiled one or no start; unset: the compiled one where it is there and fits."""
FOLDER_SWITCH: Final = "OPENTAS_MYPYC_FOLDER"
MANIFEST: Final = "manifest.json"
SUFFIX: Final = str(get_config_var("EXT_SUFFIX"))


class Manifest(msgspec.Struct, frozen=True):
    """What the build wrote beside its files."""

    suffix: str
    modules: list[str]
    sources: dict[str, str]
    """Path below the root -> digest; also what compiled modules import, whose constants are in their code."""


class Core(msgspec.Struct, frozen=True):
    """Which core this process runs; `reason` says why a compiled one that is there is not used."""

    kind: str = "pure"
    reason: str = ""


class CompiledFinder(MetaPathFinder):
    """Gives the compiled modules; all other names are left to the other finders."""

    def __init__(self, folder: Path, modules: Sequence[str]) -> None:
        self._files = {name: str(module_file(folder, name)) for name in modules}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """MetaPathFinder."""
        file = self._files.get(fullname)
        return spec_from_file_location(fullname, file, loader=ExtensionFileLoader(fullname, file)) if file else None


_core = Core()


def sip_core() -> Core:
    """The core that `use_compiled_core` chose."""
    return _core


def use_compiled_core() -> None:
    """Choose, before the first module of the core is imported; raises ImportError where 1 is asked and cannot be."""
    global _core
    switch = os.environ.get(SWITCH, "")
    if switch == "0":
        return
    folder = compiled_folder()
    manifest = read_manifest(folder)
    reason = unfit(manifest)
    if manifest is not None and not reason:
        sys.meta_path.insert(0, CompiledFinder(folder, manifest.modules))
        _core = Core("compiled")
    elif switch == "1":
        raise ImportError(f"{SWITCH}=1, but {reason}; `{SWITCH}=1 make setup` builds it, {SWITCH}=0 does without")
    elif manifest is not None:
        _core = Core("pure", reason)


def compiled_folder() -> Path:
    """Where the compiled core is looked for: in the virtual environment, because it fits one Python only."""
    return Path(os.environ.get(FOLDER_SWITCH) or Path(sys.prefix) / "opentas-compiled").absolute()


def module_file(folder: Path, module: str) -> Path:
    """The file of a compiled module."""
    return folder / (module.replace(".", "/") + SUFFIX)


def digest(source: Path) -> str:
    """What the manifest compares; times would call every checkout a change."""
    return sha256(source.read_bytes()).hexdigest()


def read_manifest(folder: Path) -> Manifest | None:
    """None when nothing was built there."""
    try:
        return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError:
        return None


def unfit(manifest: Manifest | None, root: Path = ROOT) -> str:
    """Why the compiled modules cannot be used with the sources below `root`; empty when they can."""
    if manifest is None:
        return "there is no compiled core"
    if manifest.suffix != SUFFIX:
        return f"the compiled core is for another Python ({manifest.suffix}, this one is {SUFFIX})"
    for name, known in manifest.sources.items():
        source = root / name
        if not source.is_file() or digest(source) != known:
            return f"the compiled core is stale: {name} has changed"
    return ""
