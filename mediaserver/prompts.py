"""Prompts: every WAV of a folder, read once and handed to the engine, which encodes it for each codec."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path
from typing import Final

SAMPLE_RATE_HZ: Final = 8000
MAX_PROMPT_S: Final = 600
"""Longer files would take more memory than prompts deserve (16 kB a second, twice that encoded)."""


class PromptError(Exception):
    """A WAV that cannot be used; the text names it and what is wrong."""


def read_wav(path: Path) -> bytes:
    """Samples (S16LE, mono, 8 kHz) of a WAV; raises PromptError."""
    try:
        with wave.open(str(path)) as wav:
            shape = (wav.getframerate(), wav.getnchannels(), wav.getsampwidth())
            if shape != (SAMPLE_RATE_HZ, 1, 2):
                raise PromptError(
                    f"{path}: must be 8000 Hz, mono, 16 bit; it is {shape[0]} Hz, {shape[1]} channel(s), "
                    f"{shape[2] * 8} bit"
                )
            if wav.getnframes() > MAX_PROMPT_S * SAMPLE_RATE_HZ:
                raise PromptError(f"{path}: longer than {MAX_PROMPT_S} s")
            samples: bytes = wav.readframes(wav.getnframes())
            if len(samples) != 2 * wav.getnframes():
                raise PromptError(f"{path}: cut off in the middle")
            return samples
    except (OSError, EOFError, wave.Error) as error:
        raise PromptError(f"{path}: not a readable WAV: {error}") from error


class Prompts:
    """Name -> handle of the engine."""

    def __init__(self, handles: dict[str, int]) -> None:
        self._handles = handles

    def __len__(self) -> int:
        return len(self._handles)

    def find(self, names: list[str]) -> list[int]:
        """Handles of prompts; raises KeyError with the first unknown name."""
        return [self._handles[name] for name in names]

    @property
    def names(self) -> list[str]:
        """All of them, sorted."""
        return sorted(self._handles)


def load_prompts(folder: Path, load: Callable[[bytes], int]) -> tuple[Prompts, list[PromptError]]:
    """Load every WAV of a folder; bad ones are returned and left out."""
    handles: dict[str, int] = {}
    errors = []
    for path in sorted(folder.glob("*.wav")):
        try:
            handles[path.stem] = load(read_wav(path))
        except PromptError as error:
            errors.append(error)
        except MemoryError as error:
            errors.append(PromptError(f"{path}: {error}"))
    return Prompts(handles), errors
