"""Child processes that do not outlive their parent."""

import ctypes
import signal
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_libc: Final = ctypes.CDLL(None)


def die_with_parent() -> None:
    """For preexec_fn: the kernel sends SIGINT to this child when its parent is gone, however it went (Linux)."""
    if hasattr(_libc, "prctl"):
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
