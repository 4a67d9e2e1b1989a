"""Runs every bench_*.py of this folder, prints one table and writes var/bench.json.

`python -m tests.bench.run [PART ...]` runs only files whose name contains one of the parts; other rows are kept.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).resolve().parent
Row = dict[str, Any]


def chosen(parts: list[str]) -> list[str]:
    """Module names of the benchmarks whose name contains one of `parts` (all without parts)."""
    names = sorted(path.stem for path in FOLDER.glob("bench_*.py"))
    return [name for name in names if not parts or any(part in name for part in parts)]


def run_one(name: str) -> dict[str, Row]:
    """The rows of one file; a file that fails gives one row that says so."""
    print(f"{name} …", file=sys.stderr, flush=True)
    try:
        rows: dict[str, Row] = importlib.import_module(f"tests.bench.{name}").run()
    except Exception:
        traceback.print_exc()
        return {name: {"value": None, "unit": "", "floor": None, "ratio": None, "aim": None, "ok": False}}
    return rows


def table(rows: dict[str, Row]) -> str:
    """A line a figure."""
    width = max((len(name) for name in rows), default=10)
    lines = [f"{'':{width}}  {'value':>10} {'unit':14} {'floor':>9} {'ratio':>7} {'aim':>9}"]
    for name, row in rows.items():
        cells = [_number(row.get(key)) for key in ("value", "floor", "ratio", "aim")]
        unit, verdict = row.get("unit", ""), "" if row.get("ok", True) else "  MISSED"
        lines.append(f"{name:{width}}  {cells[0]:>10} {unit:14} {cells[1]:>9} {cells[2]:>7} {cells[3]:>9}{verdict}")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def main(parts: list[str]) -> int:
    """Run, print, write; 1 when a benchmark could not run or an aim was missed."""
    rows: dict[str, Row] = {}
    for name in chosen(parts):
        rows |= run_one(name)
    print(table(rows))
    target = Path(os.environ.get("LAB_VAR") or "var") / "bench.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    kept = json.loads(target.read_text()) if parts and target.exists() else {}
    target.write_text(json.dumps(kept | rows, indent=2) + "\n")
    print(f"written to {target}", file=sys.stderr)
    return 0 if rows and all(row.get("ok", True) for row in rows.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
