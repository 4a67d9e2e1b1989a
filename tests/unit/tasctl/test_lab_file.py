"""lab.json and the lock of a run-time folder."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tasctl import lab_file
from tasctl.lab_file import LabFile, Process

ROOT = Path(__file__).resolve().parents[3]
LAB = LabFile(
    os.getpid(), "geheim", [Process("tas-1", "tas", 7, "http://127.0.0.1:9101")], "127.0.0.1:18830", ["h:5060"]
)


def test_file_comes_back_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    lab_file.write(tmp_path, LAB)
    lab_file.write(tmp_path, LAB)
    assert lab_file.read(tmp_path) == LAB
    assert stat.S_IMODE((tmp_path / "lab.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["lab.json"]
    assert LAB.urls("tas") == ["http://127.0.0.1:9101"]
    assert LAB.urls("broker") == []


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b'{"supervisor":"x"}', b"\xff"])
def test_broken_file_is_no_lab(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "lab.json").write_bytes(content)
    assert lab_file.read(tmp_path) is None


def test_removed_or_never_written_file_is_no_lab(tmp_path: Path) -> None:
    assert lab_file.read(tmp_path / "nowhere") is None
    lab_file.write(tmp_path, LAB)
    lab_file.remove(tmp_path)
    lab_file.remove(tmp_path)
    assert lab_file.read(tmp_path) is None


def test_lab_whose_supervisor_is_gone_is_no_lab(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    lab_file.write(tmp_path, LabFile(ended.pid, "t", []))
    assert lab_file.read(tmp_path) is None
    assert not lab_file.is_alive(ended.pid)
    assert lab_file.is_alive(1), "of another user, perhaps, but alive"


def test_folder_is_held_by_one_and_free_when_that_one_is_killed(tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from tasctl import lab_file\n"
    program += "print(lab_file.hold(Path(sys.argv[1])) is not None, flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"True\n"
        assert lab_file.hold(tmp_path) is None
        other.kill()
    descriptor = lab_file.hold(tmp_path)
    assert descriptor is not None
    os.close(descriptor)


def test_var_folder_is_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_VAR", "elsewhere")
    assert lab_file.var_folder() == Path("elsewhere")
    monkeypatch.setenv("LAB_VAR", "")
    assert lab_file.var_folder() == Path("var")
