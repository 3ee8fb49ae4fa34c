"""A voice that hums a text: vowels as tones with two formants, consonants as breath, as a WAV in pieces; no I/O."""

import array
import math
import random
import struct
import sys
from collections.abc import Iterator

__all__ = ["SAMPLE_RATE", "speak"]

SAMPLE_RATE = 16_000
"""Samples in a second."""

_VOWELS = {"a": (800, 1200), "e": (480, 1900), "i": (300, 2300), "o": (480, 850), "u": (330, 750), "y": (300, 2000)}
"""The first two formants of each vowel, in hertz: rounded textbook values for an adult voice."""
_SCALE = (0, 2, 4, 7, 9, 12)
"""Semitones of the pentatonic melody over the lowest note."""
_LOWEST = 130.8
_BANDWIDTH = 110.0
_SECONDS = {"vowel": 0.13, "consonant": 0.05, "pause": 0.09}


def speak(text: str) -> Iterator[bytes]:
    """A text as a WAV file (PCM, 16 bit, mono) in pieces: the header first, then one piece for each letter.

    The header announces the true length, which is known before the first sample is computed.

    Examples:
        >>> b"".join(speak("hello"))[:4]
        b'RIFF'
    """
    kinds = [_kind(letter) for letter in text.lower()]
    length = sum(int(_SECONDS[kind] * SAMPLE_RATE) for kind in kinds)
    yield _header(length)
    rng = random.Random(f"voice {text}")
    pitch = _LOWEST
    for letter, kind in zip(text.lower(), kinds, strict=True):
        count = int(_SECONDS[kind] * SAMPLE_RATE)
        if kind == "pause":
            pitch = _LOWEST * 2 ** (rng.choice(_SCALE) / 12)  # each word has its note
            yield bytes(2 * count)
        elif kind == "vowel":
            yield _pcm(_tone(pitch, _VOWELS[letter], count))
        else:
            yield _pcm([rng.uniform(-0.06, 0.06) for _ in range(count)])


def _kind(letter: str) -> str:
    if letter in _VOWELS:
        return "vowel"
    return "consonant" if letter.isalnum() else "pause"


def _tone(pitch: float, formants: tuple[int, int], count: int) -> list[float]:
    """One period of the voice's harmonics, each as loud as the formants make it, repeated."""
    period = round(SAMPLE_RATE / pitch)
    harmonics = range(1, int(3000 / pitch) + 1)
    loudness = [sum(1 / (1 + ((n * pitch - formant) / _BANDWIDTH) ** 2) for formant in formants) for n in harmonics]
    wave = [
        sum(loud * math.sin(2 * math.pi * n * i / period) for n, loud in zip(harmonics, loudness, strict=True))
        for i in range(period)
    ]
    peak = max(map(abs, wave)) or 1.0
    return [0.5 * wave[i % period] / peak for i in range(count)]


def _pcm(samples: list[float]) -> bytes:
    """Samples as little-endian 16 bit, faded in and out so that letters do not click."""
    fade = min(len(samples) // 4, SAMPLE_RATE // 100)
    for i in range(fade):
        samples[i] *= i / fade
        samples[-1 - i] *= i / fade
    pcm = array.array("h", (int(32767 * sample) for sample in samples))
    if sys.byteorder == "big":
        pcm.byteswap()
    return pcm.tobytes()


def _header(samples: int) -> bytes:
    size = 2 * samples
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + form + struct.pack("<4sI", b"data", size)
