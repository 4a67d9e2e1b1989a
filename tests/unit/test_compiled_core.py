"""What holds for the modules that can be compiled, and that the compiled ones run where they should."""

from __future__ import annotations

import ast
import importlib

import pytest

from common.service.compiled import ROOT, SUFFIX, compiled_folder, sip_core
from scripts.compile_core import all_sources, core_sources, module_name

SOURCES = core_sources()


def test_doors_and_packages_own_files_stay_pure() -> None:
    assert {"tas/sip/layer.py", "tas/sdp/parser.py", "tas/calls/call.py", "tas/media/link.py"} < set(SOURCES)
    assert [source for source in SOURCES if "aio" in source or source.endswith("__init__.py")] == []


def test_contracts_whose_constants_are_compiled_in_are_watched_too() -> None:
    watched = all_sources(SOURCES)
    assert set(SOURCES) < set(watched)
    assert {"common/contracts/media.py", "common/service/lines.py", "tas/config.py"} < set(watched)


@pytest.mark.parametrize("source", SOURCES)
def test_no_function_names_two_kinds_of_error_alike(source: str) -> None:
    """Mypyc gives a variable one type: the second `except … as error` of a function would raise TypeError."""
    for function in ast.walk(ast.parse((ROOT / source).read_text(encoding="utf-8"))):
        if isinstance(function, ast.FunctionDef):
            handlers = [node for node in ast.walk(function) if isinstance(node, ast.ExceptHandler) and node.name]
            kinds = {(node.name, ast.unparse(node.type)) for node in handlers if node.type is not None}
            names = [name for name, _ in kinds]
            assert len(names) == len(set(names)), f"{source}:{function.lineno} {function.name}"


def test_every_module_comes_from_the_compiled_core() -> None:
    if sip_core().kind != "compiled":
        pytest.skip("the pure core runs (make test-compiled runs the other)")
    files = {source: importlib.import_module(module_name(source)).__file__ for source in SOURCES}
    wrong = {
        source: file
        for source, file in files.items()
        if file != str(compiled_folder() / (source.removesuffix(".py") + SUFFIX))
    }
    assert wrong == {}
