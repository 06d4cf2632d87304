"""The kinds of values a configuration has: durations, zones, columns, names, files.

Each turns a document's plain value into ours or says what belongs there. Whatever can be judged
without a server is judged here. No message quotes what was written.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import zoneinfo
from pathlib import Path
from typing import Annotated

import durationpy
from pydantic import AfterValidator, BeforeValidator, StringConstraints
from pydantic_core import PydanticCustomError

from ..errors import ConfigError
from ..model import TableName

_DURATION = re.compile(r"-?(?:\d+(?:\.\d+)?(?:ns|us|µs|μs|ms|s|m|h|d|w))+", re.ASCII)
_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30}
_NUMBER = re.compile(r"[-+]?[0-9.]+", re.ASCII)
_DURATION_HINT = "write it as 90s, 15m or 1h30m"
_OFFSET = re.compile(r"([+-])([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)
_PIPELINE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


def _wrong(message: str, hint: str) -> PydanticCustomError:
    return PydanticCustomError("told", message, {"hint": hint})


def _seconds(value: object) -> float:
    text = "" if isinstance(value, bool) else str(value)
    if _NUMBER.fullmatch(text):
        raise _wrong("a duration needs a unit", _DURATION_HINT)
    if not _DURATION.fullmatch(text):
        raise _wrong("not a duration", _DURATION_HINT)
    try:
        seconds = float(durationpy.from_str(text).total_seconds())
    except durationpy.DurationError:
        raise _wrong("a duration out of range", _DURATION_HINT) from None
    if seconds < 0:
        raise _wrong("a duration can't be negative", _DURATION_HINT)
    return seconds


def size_of(text: str) -> int | None:
    """The bytes of a size: 512MiB, 1GiB, 500MB, or a number of them; None for anything else."""
    shown = text.strip().lower().removesuffix("b")
    digits = shown.rstrip("kmgi ")
    unit = shown[len(digits) :].strip()
    return int(digits) * _UNITS[unit] if digits.isdecimal() and unit in _UNITS else None


def _size(value: object) -> int:
    size = None if isinstance(value, bool) else size_of(str(value))
    if size is None:
        raise _wrong("not a size", "write it as 128MiB, 4GiB or 500MB")
    return size


def _not_too_often(seconds: float) -> float:
    if seconds < 1:
        raise _wrong("a pass can't start more often than every second", "write 1s or more")
    return seconds


def _a_batch(size: int) -> int:
    if not size:
        raise _wrong("a batch needs some rows", "write 1MiB or more")
    return size


def _a_batchs_time(seconds: float) -> float:
    if seconds < 1:
        raise _wrong("a batch takes longer than that", "write 1s or more")
    return seconds


def _a_file(size: int) -> int:
    if not 1 << 23 <= size <= 1 << 30:
        raise _wrong("not a file's size", "write 8MiB to 1GiB")
    return size


def zone_of(text: str) -> dt.tzinfo | None:
    """The zone of an offset (`+08:00`) or of an IANA name; None for anything else."""
    try:
        if offset := _OFFSET.fullmatch(text):
            sign = -1 if offset[1] == "-" else 1
            span = dt.timedelta(hours=int(offset[2]), minutes=int(offset[3]))
            return dt.timezone(sign * span)
        return zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder, in tzdata
        return None


def _zone(text: str) -> str:
    if zone_of(text) is None:
        raise _wrong(
            "unknown time zone", "an offset such as +08:00, or an IANA name such as Europe/Berlin"
        )
    return text


def _columns(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _different(columns: tuple[str, ...]) -> tuple[str, ...]:
    if not columns:
        raise _wrong("no column is named", "name one, or take the key away")
    if len(set(columns)) < len(columns):
        raise _wrong("a column stands twice", "keep one of them")
    return columns


def table_name(text: str) -> TableName | None:
    """The table that `schema.table` names; None where it names none, or several."""
    try:
        return None if "*" in text else TableName.parse(text)
    except ConfigError:
        return None


def _target_name(text: str) -> str:
    if "*" in text or (table_name(text) is None and "." in text):
        raise _wrong("not a table name", "write it as table or schema.table")
    return text


def pipeline_name(text: str) -> str:
    """A pipeline's name, which is part of the names of what it writes."""
    if not _PIPELINE.fullmatch(text) or text.startswith("adhoc."):
        raise _wrong(
            "not a pipeline's name",
            "take letters, digits, dots, dashes and underscores, 64 at most; "
            "the first a letter or a digit, and not adhoc.",
        )
    return text


def _at_home(path: Path) -> Path:
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path's own raises where there is no home


File = Annotated[Path, AfterValidator(_at_home)]
"""A file's path; a leading ~ is this user's home."""
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Duration = Annotated[float, BeforeValidator(_seconds)]
Interval = Annotated[Duration, AfterValidator(_not_too_often)]
Size = Annotated[int, BeforeValidator(_size)]
BatchSize = Annotated[Size, AfterValidator(_a_batch)]
BatchTime = Annotated[Duration, AfterValidator(_a_batchs_time)]
FileSize = Annotated[Size, AfterValidator(_a_file)]
Zone = Annotated[str, AfterValidator(_zone)]
Columns = Annotated[tuple[Text, ...], BeforeValidator(_columns), AfterValidator(_different)]
TargetName = Annotated[Text, AfterValidator(_target_name)]
PipelineName = Annotated[str, AfterValidator(pipeline_name)]
