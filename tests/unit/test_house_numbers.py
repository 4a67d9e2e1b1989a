"""The sizes and borders that the house style sets, held for every file of the packages."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("tas", "mediaserver", "agentbroker", "common", "tasctl", "loadtest")
MAX_NATIVE_LINES = 400
CENTRAL = ("tas/calls/call.py", "tas/sip/aio/endpoint.py", "agentbroker/acd/engine.py")
LOOP_MODULES = {"asyncio", "socket", "uvloop", "selectors", "aiohttp", "aiomqtt", "time"}
"""Imported only where the loop is: files and folders named aio, and app.py."""
LOOP_EXCEPTIONS = {
    "tas/admin": {"asyncio", "aiohttp"},
    "mediaserver/api.py": {"asyncio", "aiohttp"},
    "agentbroker/api": {"asyncio", "aiohttp"},
    "mediaserver/sessions.py": {"socket"},
}
"""HTTP handlers are doors by another name; sessions.py converts addresses and passes bound sockets on."""


def source_files() -> list[Path]:
    """Every Python file of the packages."""
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def quantile(values: list[int], share: float) -> int:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """(file:function, lines) of every function, docstring not counted."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            first = node.body[0]
            if ast.get_docstring(node, clean=False) is not None and len(node.body) > 1:
                lines -= (first.end_lineno or first.lineno) - first.lineno + 1
            yield f"{name(path)}:{node.name}", lines


def imported(path: Path) -> set[str]:
    """Top-level names of the modules a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def is_door(path: Path) -> bool:
    """Whether a file may know the loop."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return "aio" in parts or parts[-1] == "app"


def test_files_stay_small() -> None:
    lengths = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in source_files()}
    sizes = [size for file, size in lengths.items() if not file.endswith("__init__.py")]
    assert {file: size for file, size in lengths.items() if size > 600} == {}
    assert quantile(sizes, 0.5) <= 150
    assert quantile(sizes, 0.9) <= 400


def test_functions_stay_small() -> None:
    lengths = dict(function for path in source_files() for function in functions(path))
    assert {function: size for function, size in lengths.items() if size > 60} == {}
    assert quantile(list(lengths.values()), 0.5) <= 8
    assert quantile(list(lengths.values()), 0.9) <= 30


def test_native_files_stay_small() -> None:
    lengths = {
        name(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / "mediaserver" / "native").glob("*.[ch]")
    }
    assert {file: size for file, size in lengths.items() if size > MAX_NATIVE_LINES} == {}


@pytest.mark.parametrize("file", CENTRAL)
def test_central_object_stays_small(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert len(text.splitlines()) < 400
    classes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)]
    methods = {c.name: sum(isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) for n in c.body) for c in classes}
    assert {c: count for c, count in methods.items() if count >= 20} == {}


def test_loop_and_clock_only_at_the_doors() -> None:
    wrong = {}
    for path in source_files():
        if path.relative_to(ROOT).parts[0] == "tasctl" or is_door(path):
            continue
        allowed = {m for prefix, modules in LOOP_EXCEPTIONS.items() if name(path).startswith(prefix) for m in modules}
        found = (imported(path) & LOOP_MODULES) - allowed
        if found:
            wrong[name(path)] = sorted(found)
    assert wrong == {}


def test_no_module_imports_itself_by_a_detour() -> None:
    packages = [package for package in PACKAGES if (ROOT / package / "__init__.py").exists()]
    graph = grimp.build_graph(*packages, exclude_type_checking_imports=True, cache_dir=None)
    left = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    while leaves := {module for module, imports in left.items() if not imports & left.keys()}:
        left = {module: imports for module, imports in left.items() if module not in leaves}
    assert set(left) == set()


def test_few_modules_know_asyncio() -> None:
    files = [path for path in source_files() if path.name != "__init__.py"]
    knowing = [name(path) for path in files if "asyncio" in imported(path)]
    assert len(knowing) <= 0.2 * len(files), knowing


def test_contracts_import_the_standard_library_and_msgspec_only() -> None:
    allowed = set(sys.stdlib_module_names) | {"msgspec", "common"}
    wrong = {name(path): imported(path) - allowed for path in (ROOT / "common" / "contracts").rglob("*.py")}
    assert {file: found for file, found in wrong.items() if found} == {}


def test_no_bare_except() -> None:
    bare = [
        f"{name(path)}:{node.lineno}"
        for path in source_files()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]
    assert bare == []


def test_most_public_names_have_a_docstring() -> None:
    with_docstring = total = 0
    for path in source_files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name[0] != "_":
                total += 1
                with_docstring += ast.get_docstring(node) is not None
    assert with_docstring >= 0.8 * total
