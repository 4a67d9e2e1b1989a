"""Compiles the pure core with mypyc: `OPENTAS_MYPYC=1 make setup`, `make test-compiled`.

Nothing is written beside the sources: the extension modules and a manifest of their sources go to one folder, which
`common.service.compiled` uses as long as it fits. A folder that fits already is left alone.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import grimp
import msgspec
from mypyc.build import mypycify
from setuptools import Distribution

from common.service.compiled import MANIFEST, ROOT, SUFFIX, Manifest, compiled_folder, digest, read_manifest, unfit

COMPILED = (
    "tas/sip",
    "tas/sdp",
    "tas/media",
    "tas/registrar",
    "tas/routing",
    "tas/calls",
    "tas/treatment",
    "tas/node.py",
)
"""What a call runs through, but for the doors: what is named aio, and the packages' own files, stay pure."""
PURE = ("tas/sip/tls.py", "tas/sip/connections.py")
"""Called once a connection, by doors; and typeshed's ssl promises texts where OpenSSL gives None."""
GROUP = "opentas_core"
WORK = ROOT / "build" / "mypyc"


def core_sources() -> list[str]:
    """Paths below the root of all modules to compile."""
    found = []
    for entry in COMPILED:
        path = ROOT / entry
        found += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    names = [path.relative_to(ROOT) for path in found if path.name != "__init__.py"]
    doors = [name for name in names if "aio" in name.with_suffix("").parts or name.as_posix() in PURE]
    return [name.as_posix() for name in names if name not in doors]


def module_name(source: str) -> str:
    """tas.sip.uri for tas/sip/uri.py."""
    return source.removesuffix(".py").replace("/", ".")


def all_sources(compiled: list[str]) -> list[str]:
    """The compiled modules' sources and those of what they import: constants are compiled in."""
    graph = grimp.build_graph("tas", "common", cache_dir=None)
    names = {module_name(source) for source in compiled}
    for name in tuple(names):
        names |= graph.find_upstream_modules(name)
    paths = ((name, ROOT / name.replace(".", "/")) for name in sorted(names))
    files = [path / "__init__.py" if path.is_dir() else path.with_suffix(".py") for _, path in paths]
    return [file.relative_to(ROOT).as_posix() for file in files]


def build(sources: list[str], modules: list[str]) -> Path:
    """Compile; returns the folder that holds the result."""
    shutil.rmtree(WORK, ignore_errors=True)
    result = WORK / "lib"
    # -O1 runs as fast as -O3 here (docs/adr/0007) and compiles in two thirds of the time.
    extensions = mypycify(sources, group_name=GROUP, target_dir=str(WORK / "c"), opt_level="1", debug_level="0")
    distribution = Distribution({"name": GROUP, "ext_modules": extensions})
    command = distribution.get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(result), str(WORK / "o")
    command.ensure_finalized()
    command.run()
    manifest = Manifest(SUFFIX, modules, {source: digest(ROOT / source) for source in all_sources(sources)})
    (result / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
    return result


def main() -> None:
    """Compile unless what is there fits."""
    folder = compiled_folder()
    os.chdir(ROOT)
    sources = core_sources()
    modules = [*(module_name(source) for source in sources), f"{GROUP}__mypyc"]
    manifest = read_manifest(folder)
    if manifest is not None and manifest.modules == modules and not unfit(manifest):
        (folder / MANIFEST).touch()  # make compares times
        return
    print(f"setup: compiling {len(sources)} modules of the core; this takes a minute", flush=True)
    result = build(sources, modules)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(result, folder)


if __name__ == "__main__":
    main()
