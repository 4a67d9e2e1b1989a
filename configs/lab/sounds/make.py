"""Makes music.wav: a short loop of soft chords, our own (CC0). Run it here to make it anew: python make.py.

welcome.wav and menu.wav were spoken by espeak-ng:
  espeak-ng -v en -s 150 -w w.wav "TEXT" && sox w.wav -r 8000 -c 1 -b 16 welcome.wav gain -n -6
"""

import array
import math
import wave

RATE = 8000
BEAT_S = 0.5
CHORDS = ((57, 60, 64), (53, 57, 60), (48, 52, 55), (55, 59, 62)) * 2
MELODY = (76, 72, 69, 72, 77, 74, 72, 69, 79, 76, 72, 76, 74, 71, 67, 71)


def pitch(note: int) -> float:
    """Frequency of a MIDI note, Hz."""
    return 440.0 * 2 ** ((note - 69) / 12)


def sample(index: int) -> int:
    """One sample of the loop: chord and melody with decaying notes."""
    t = index / RATE
    beat = int(t / BEAT_S)
    since = t - beat * BEAT_S
    chord = CHORDS[beat // 2 % len(CHORDS)]
    level = 0.35 * math.exp(-1.2 * (t % (2 * BEAT_S)))
    value = level * sum(math.sin(2 * math.pi * pitch(note) * t) for note in chord) / 3
    value += 0.3 * math.exp(-3 * since) * math.sin(2 * math.pi * pitch(MELODY[beat % len(MELODY)]) * t)
    return int(12000 * value)


with wave.open("music.wav", "wb") as out:
    out.setnchannels(1)
    out.setsampwidth(2)
    out.setframerate(RATE)
    out.writeframes(array.array("h", (sample(n) for n in range(int(16 * BEAT_S * RATE)))).tobytes())
