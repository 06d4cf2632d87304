"""Texts that are no UTF-8: what is wrong with one, and what stands in for the wrong bytes.

The numbers of what may be wrong are those that Redshift's documentation lists. A character that
Unicode reserves for nobody (U+FFFE, U+FDD0) is no error, and still it is replaced where wrong
bytes are.
"""

from __future__ import annotations

import re

TOO_LONG, CUT, START, TRAIL, SURROGATE, BEYOND, NO_CHARACTER = 1, 2, 3, 4, 5, 8, 9
_RESERVED = "".join(f"\\U{plane:04X}FFFE\\U{plane:04X}FFFF" for plane in range(17))
NOBODY = rf"[\uFDD0-\uFDEF{_RESERVED}]"
NOBODY_RE2 = r"[\x{FDD0}-\x{FDEF}" + "".join(
    rf"\x{{{plane:X}FFFE}}-\x{{{plane:X}FFFF}}" for plane in range(17)
) + "]"  # fmt: skip
_ESCAPED = re.compile("[\udc80-\udcff]")
_NOBODY = re.compile(NOBODY)
_LEADS = ((0xC0, 0, START), (0xE0, 2, 0), (0xF0, 3, 0), (0xF8, 4, 0), (0xFE, 0, TOO_LONG))
_SURROGATES = range(0xD800, 0xE000)
_TRAILS = range(0x80, 0xC0)
_LAST = 0x10FFFF


def _in_full(sequence: bytes) -> int:
    """What is wrong with a sequence that has all its bytes."""
    code = sequence[0] & (0x7F >> len(sequence))
    for byte in sequence[1:]:
        code = code << 6 | byte & 0x3F
    if code in _SURROGATES:
        return SURROGATE
    return BEYOND if code > _LAST else NO_CHARACTER


def offence(data: bytes) -> tuple[bytes, int]:
    """The first wrong sequence of a text, and the number of what is wrong with it."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        rest = data[error.start :]
    else:
        return b"", 0
    size, wrong = next(((s, w) for below, s, w in _LEADS if rest[0] < below), (0, START))
    if wrong:
        return rest[:1], wrong
    sequence = rest[:size]
    if any(byte not in _TRAILS for byte in sequence[1:]):
        return sequence, TRAIL
    return sequence, CUT if len(sequence) < size else _in_full(sequence)


def mended(data: bytes, character: str) -> str:
    """A text with a character in place of each wrong byte."""
    return _ESCAPED.sub(lambda _: character, data.decode(errors="surrogateescape"))


def without_nobodys(text: str, character: str) -> str:
    """A text with a character for each byte of those that Unicode reserves for nobody."""
    return _NOBODY.sub(lambda found: character * len(found[0].encode()), text)
