"""The blind half: an input of the corpus, changed in ways in which bytes of a server are hostile.

Lengths that lie, ends that are missing, markers where none belong, pieces of another input. One
number makes one input, so a number tells everything.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

_MARKS = (0, 1, 4, 7, 8, 11, 12, 0x7F, 0x80, 0xFA, 0xFB, 0xFC, 0xFD, 0xFE, 0xFF)
_HEAD = 2  # what an input is for is left as it is


def changed(corpus: Sequence[bytes], number: int) -> bytes:
    """The input of that number."""
    chance = random.Random(number)
    data = bytearray(chance.choice(corpus))
    for _ in range(chance.randint(1, 4)):
        chance.choice(_CHANGES)(data, chance, corpus)
    return bytes(data)


def _place(data: bytearray, chance: random.Random) -> int:
    return chance.randint(min(_HEAD, len(data)), len(data))


def _mark(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    at = _place(data, chance)
    data[at : at + 1] = bytes([chance.choice(_MARKS)])


def _bit(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    at = _place(data, chance)
    if at < len(data):
        data[at] ^= 1 << chance.randrange(8)


def _cut(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    at = _place(data, chance)
    del data[at : at + chance.choice((1, 2, 4, 8, len(data)))]


def _grown(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    at = _place(data, chance)
    data[at:at] = bytes([chance.choice(_MARKS)]) * chance.choice((1, 2, 4, 8, 40, 300))


def _length(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    at, width = _place(data, chance), chance.choice((1, 2, 3, 8))
    data[at : at + width] = (chance.getrandbits(64) >> 64 - 8 * width).to_bytes(width, "little")


def _spliced(data: bytearray, chance: random.Random, corpus: Sequence[bytes]) -> None:
    other = chance.choice(corpus)
    at, start = _place(data, chance), chance.randrange(len(other))
    data[at : at + chance.choice((0, 8))] = other[start : start + chance.choice((4, 16, 300))]


_CHANGES = (_mark, _mark, _bit, _cut, _grown, _length, _spliced)
