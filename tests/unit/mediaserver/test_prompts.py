"""mediaserver/prompts.py"""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import pytest

from mediaserver.prompts import MAX_PROMPT_S, PromptError, load_prompts, read_wav

SAMPLES = struct.pack("<100h", *range(100))


def write_wav(path: Path, pcm: bytes = SAMPLES, *, rate: int = 8000, channels: int = 1, width: int = 2) -> Path:
    with wave.open(str(path), "wb") as wav:
        wav.setframerate(rate)
        wav.setnchannels(channels)
        wav.setsampwidth(width)
        wav.writeframes(pcm)
    return path


def test_samples_are_read_as_they_were_written(tmp_path: Path) -> None:
    assert read_wav(write_wav(tmp_path / "a.wav")) == SAMPLES
    assert read_wav(write_wav(tmp_path / "b.wav", b"")) == b""


@pytest.mark.parametrize(
    ("shape", "said"),
    [({"rate": 16000}, "16000 Hz"), ({"channels": 2}, r"2 channel\(s\)"), ({"width": 1}, "8 bit")],
)
def test_other_shapes_are_refused_by_name(tmp_path: Path, shape: dict[str, int], said: str) -> None:
    with pytest.raises(PromptError, match=rf"a\.wav: must be 8000 Hz, mono, 16 bit.*{said}"):
        read_wav(write_wav(tmp_path / "a.wav", **shape))


@pytest.mark.parametrize("size", [0, 10, 40, 100, 143, 243])
def test_cut_off_file_is_refused(tmp_path: Path, size: int) -> None:
    path = write_wav(tmp_path / "a.wav")
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(PromptError, match=r"a\.wav: (not a readable WAV|cut off)"):
        read_wav(path)


def test_text_folder_and_nothing_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("RIFF and more")
    (tmp_path / "folder.wav").mkdir()
    for name in ("text.wav", "folder.wav", "nothing.wav"):
        with pytest.raises(PromptError, match="not a readable WAV"):
            read_wav(tmp_path / name)


def test_too_long_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", b"")
    header = bytearray(path.read_bytes())
    struct.pack_into("<I", header, 40, 2 * (8000 * MAX_PROMPT_S + 1))
    path.write_bytes(header)
    with pytest.raises(PromptError, match="longer than 600 s"):
        read_wav(path)


def test_good_files_are_loaded_and_bad_ones_returned(tmp_path: Path) -> None:
    for name in ("welcome", "music"):
        write_wav(tmp_path / f"{name}.wav")
    write_wav(tmp_path / "wrong.wav", rate=44100)
    (tmp_path / "notes.txt").write_text("no prompt")
    loaded: list[bytes] = []

    def load(pcm: bytes) -> int:
        loaded.append(pcm)
        return 10 + len(loaded)

    prompts, errors = load_prompts(tmp_path, load)
    assert prompts.names == ["music", "welcome"]
    assert len(prompts) == 2
    assert prompts.find(["welcome", "music", "welcome"]) == [12, 11, 12]
    assert [str(error).partition(":")[0] for error in errors] == [str(tmp_path / "wrong.wav")]
    with pytest.raises(KeyError, match="unknown"):
        prompts.find(["welcome", "unknown"])


def test_engine_without_room_leaves_prompts_out_by_name(tmp_path: Path) -> None:
    for name in "ab":
        write_wav(tmp_path / f"{name}.wav")
    handles = iter([1])

    def load(_pcm: bytes) -> int:
        handle = next(handles, None)
        if handle is None:
            raise MemoryError("no room for another prompt")
        return handle

    prompts, errors = load_prompts(tmp_path, load)
    assert prompts.names == ["a"]
    assert [str(error) for error in errors] == [f"{tmp_path / 'b.wav'}: no room for another prompt"]


def test_absent_folder_has_no_prompts(tmp_path: Path) -> None:
    prompts, errors = load_prompts(tmp_path / "absent", len)
    assert (len(prompts), errors) == (0, [])
