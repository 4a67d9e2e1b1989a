"""mediaserver/native/g711.c against the recommendation, written out slowly: every sample and every code."""

from __future__ import annotations

import struct
import warnings
from dataclasses import dataclass

import pytest

from mediaserver.engine import PCMA, PCMU, decode, encode
from tests.native.support import HERE, MEMORY, NATIVE, gcc, needs, run

SAMPLES = range(-32768, 32768)
LAWS = ("PCMU", "PCMA")


@dataclass(frozen=True)
class Interval:
    """A row of the recommendation's table: inputs from `low` up to `high` (not included) have `code`."""

    low: int
    high: int
    code: int
    value: int


def ulaw_intervals() -> list[Interval]:
    """G.711 table 2a, positive side, in units of 14 bits: 8 segments, each with intervals twice as wide."""
    found, low = [], 0
    for segment in range(8):
        width = 2 << segment
        for step in range(16):
            first = segment == 0 and step == 0
            high = low + (1 if first else width)
            found.append(Interval(low, high, 0xFF - 16 * segment - step, 0 if first else (low + high) // 2))
            low = high
    return found


def alaw_intervals() -> list[Interval]:
    """G.711 table 1a, positive side, in units of 13 bits (2,048 becomes 4,096); even bits of the code inverted."""
    found, low = [], 0
    for segment in range(8):
        width = 2 << max(segment - 1, 0)
        for step in range(16):
            found.append(Interval(low, low + width, (0x80 + 16 * segment + step) ^ 0x55, low + width // 2))
            low += width
    return found


def oracle(law: str) -> tuple[bytes, list[int], int]:
    """Codes of all samples, samples of all codes, and the code of silence."""
    intervals, shift = (ulaw_intervals(), 2) if law == "PCMU" else (alaw_intervals(), 3)
    by_magnitude: list[Interval] = []
    for interval in intervals:
        by_magnitude += [interval] * (interval.high - interval.low)
    values = [0] * 256
    for interval in intervals:
        values[interval.code] = interval.value << shift
        values[interval.code ^ 0x80] = -(interval.value << shift)
    codes = bytearray()
    for sample in SAMPLES:
        unit = sample >> shift
        # the negative side mirrors the positive one about -1/2: G.191 takes the one's complement
        magnitude = min(unit if unit >= 0 else -1 - unit, len(by_magnitude) - 1)
        code = by_magnitude[magnitude].code
        codes.append(code if unit >= 0 else code ^ 0x80)
    return bytes(codes), values, intervals[0].code


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bytes, list[int], int]]:
    """What the C code says, built with sanitizers."""
    program = gcc(MEMORY, [HERE / "tables_g711.c", NATIVE / "g711.c"], tmp_path_factory.mktemp("g711") / "tables")
    output = run(program, "")
    found = {}
    for law in LAWS:
        codes, values, silence, output = output[:65536], output[65536:66048], output[66048], output[66049:]
        found[law] = (codes, list(struct.unpack("=256h", values)), silence)
    return found


@needs(MEMORY)
@pytest.mark.parametrize("law", LAWS)
def test_every_sample_and_every_code_is_as_recommended(
    tables: dict[str, tuple[bytes, list[int], int]], law: str
) -> None:
    codes, values, silence = tables[law]
    wanted_codes, wanted_values, wanted_silence = oracle(law)
    assert codes == wanted_codes
    assert values == wanted_values
    assert silence == wanted_silence


@pytest.mark.parametrize(("law", "number"), [("PCMU", PCMU), ("PCMA", PCMA)])
def test_the_engine_gives_the_same_tables_to_python(law: str, number: int) -> None:
    codes, values, _ = oracle(law)
    assert encode(number, struct.pack("<65536h", *SAMPLES)) == codes
    assert decode(number, bytes(range(256))) == struct.pack("<256h", *values)


@pytest.mark.parametrize(("law", "number"), [("PCMU", PCMU), ("PCMA", PCMA)])
def test_decoding_and_encoding_is_transparent_but_for_negative_zero(law: str, number: int) -> None:
    codes = bytes(range(256))
    changed = [code for code, again in zip(codes, encode(number, decode(number, codes)), strict=True) if code != again]
    assert changed == ([0x7F] if law == "PCMU" else [])


@pytest.mark.parametrize("number", [PCMU, PCMA])
def test_audioop_decodes_the_same_and_encodes_the_same_but_at_the_edges(number: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        audioop = pytest.importorskip("audioop", reason="audioop is gone from Python 3.13 on")
    to_pcm, from_pcm = (audioop.ulaw2lin, audioop.lin2ulaw) if number == PCMU else (audioop.alaw2lin, audioop.lin2alaw)
    codes = bytes(range(256))
    assert decode(number, codes) == to_pcm(codes, 2)
    pcm = struct.pack("<65536h", *SAMPLES)
    ours, theirs = encode(number, pcm), from_pcm(pcm, 2)
    different = [sample for sample, a, b in zip(SAMPLES, ours, theirs, strict=True) if a != b]
    if number == PCMA:
        assert different == []
    # audioop negates where G.191 complements: the negative side's borders lie one unit (4 samples) apart
    assert all(sample < 0 for sample in different)
    assert len(different) <= 128 * 4


@pytest.mark.parametrize("codec", [-1, 2, 8])
def test_unknown_codec_is_refused(codec: int) -> None:
    with pytest.raises(ValueError, match="codec"):
        encode(codec, b"\0\0")
    with pytest.raises(ValueError, match="codec"):
        decode(codec, b"\0")


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="whole samples"):
        encode(PCMU, b"\0\0\0")
