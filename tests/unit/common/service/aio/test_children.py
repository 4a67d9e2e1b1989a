"""A child whose parent is killed ends too."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[5]
TIMEOUT_S = 30.0

PARENT = """
    import subprocess, sys
    from common.service.aio.children import die_with_parent
    child = '''
    import signal, sys
    try:
        print("up", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    '''
    import textwrap
    subprocess.Popen([sys.executable, "-c", textwrap.dedent(child)], preexec_fn=die_with_parent, start_new_session=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_child_is_interrupted_when_its_parent_is_killed() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    try:
        assert read_line(parent.stdout.fileno()) == b"up\n"
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait(TIMEOUT_S)
    assert read_line(parent.stdout.fileno()) == b"interrupted\n"
    assert os.read(parent.stdout.fileno(), 1) == b"", "the child has closed its output: it is gone"
    parent.stdout.close()
    assert parent.stdin is not None
    parent.stdin.close()


def read_line(descriptor: int) -> bytes:
    """The next line; each part of it within TIMEOUT_S."""
    line = b""
    while not line.endswith(b"\n"):
        readable, _, _ = select.select([descriptor], [], [], TIMEOUT_S)
        assert readable, f"nothing came after {line!r}"
        part = os.read(descriptor, 1)
        assert part, f"ended after {line!r}"
        line += part
    return line
