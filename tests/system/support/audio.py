"""Judging sound: how much of a recording is the expected tone, and the longest gap in it.

Recordings are cut into frames of FRAME_MS. A frame holds the tone when TONE_SHARE of its energy is at that frequency
(Goertzel) and it is louder than SILENCE_RMS.
"""

from __future__ import annotations

import array
import math
import wave
from dataclasses import dataclass
from pathlib import Path

RATE = 8000
FRAME_MS = 20
SILENCE_RMS = 200.0
"""Of 32,768: below this a frame is silent."""
TONE_SHARE = 0.7


@dataclass(frozen=True)
class Heard:
    """What a recording holds between the first and the last frame with the tone."""

    share: float
    """Frames with the tone, of all frames between the first and last of them."""
    longest_gap_ms: int
    seconds: float
    """From the first to the last frame with the tone."""

    def __str__(self) -> str:
        return f"share {self.share:.3f}, longest gap {self.longest_gap_ms} ms over {self.seconds:.2f} s"


def goertzel(samples: array.array[int], frequency: float) -> float:
    """Share (0..1) of the samples' energy that is at `frequency` Hz."""
    coefficient = 2.0 * math.cos(2.0 * math.pi * frequency / RATE)
    s1 = s2 = energy = 0.0
    for sample in samples:
        s1, s2 = sample + coefficient * s1 - s2, s1
        energy += sample * sample
    if energy == 0.0:
        return 0.0
    power = s1 * s1 + s2 * s2 - coefficient * s1 * s2
    return min(1.0, 2.0 * power / (len(samples) * energy))


def _has_tone(frame: array.array[int], frequency: float) -> bool:
    rms = math.sqrt(sum(sample * sample for sample in frame) / len(frame))
    return rms >= SILENCE_RMS and goertzel(frame, frequency) >= TONE_SHARE


def judge(samples: array.array[int], frequency: float) -> Heard:
    """Judge S16 samples at 8 kHz; nothing heard gives share 0."""
    size = RATE * FRAME_MS // 1000
    frames = [_has_tone(samples[i : i + size], frequency) for i in range(0, len(samples) - size + 1, size)]
    if True not in frames:
        return Heard(0.0, 0, 0.0)
    first = frames.index(True)
    last = len(frames) - frames[::-1].index(True)
    heard = frames[first:last]
    gap = longest = 0
    for tone in heard:
        gap = 0 if tone else gap + 1
        longest = max(longest, gap)
    return Heard(sum(heard) / len(heard), longest * FRAME_MS, len(heard) * FRAME_MS / 1000)


def read_wav(path: Path) -> array.array[int]:
    """Samples of a mono or stereo S16 WAV at 8 kHz (stereo: the left channel); a header left open is tolerated."""
    with wave.open(str(path)) as recording:
        assert recording.getsampwidth() == 2, path
        assert recording.getframerate() == RATE, f"{path}: {recording.getframerate()} Hz"
        channels = recording.getnchannels()
        data = recording.readframes(recording.getnframes())
    samples = array.array("h", data[: len(data) // 2 * 2])
    return samples[::channels] if channels > 1 else samples


def write_tone(path: Path, frequency: float, seconds: float, amplitude: int = 12000) -> Path:
    """Write a mono S16 8 kHz WAV holding one tone."""
    samples = array.array(
        "h", (int(amplitude * math.sin(2 * math.pi * frequency * n / RATE)) for n in range(int(RATE * seconds)))
    )
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples.tobytes())
    return path
