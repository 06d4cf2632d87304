"""What becomes of values that Redshift has no equal for, a column at a time.

Each ruling looks at a column's greatest or least first, so that a policy whose case does not occur
costs next to nothing, and one that was not asked for nothing at all. What is changed is counted by
column; what a policy forbids is the first such row, which the decoder names by its key.

What is found here is what a policy asked for. What nobody asked for (a text too long, a NUL
character in it) `batch` finds, just before rows are written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import DataError
from ..model import Change, Changes, Dates, LongText
from . import arrays, geometry
from .arrays import Bools, Ints, Values, arrow_type
from .types import Cast, Rule

_CONTINUES, _CONTINUED = 0xC0, 0x80
_LONGEST_TAIL = 3
_GREATEST = np.uint64(2**63 - 1)


@dataclass(frozen=True, slots=True)
class Kept:
    """A column as it goes into the batch, what was changed in it, and what says which was cut."""

    array: pa.Array
    changed: Mapping[Change, int] = field(default_factory=dict)
    flag: pa.Array | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The first row whose value must not be."""

    row: int
    what: str
    hint: str


Ruling = Kept | Refused


@dataclass(slots=True)
class Gathered:
    """The columns of a batch so far."""

    arrays: list[pa.Array] = field(default_factory=list)
    changed: Changes = field(default_factory=dict)

    def take(self, rule: Rule, kept: Kept) -> None:
        """Add a column."""
        self.arrays.append(kept.array)
        if kept.flag is not None:
            self.arrays.append(kept.flag)
        for change, count in kept.changed.items():
            self.changed[change, rule.name] = count


def refusal(
    refused: Refused, rule: Rule, rules: Sequence[Rule], row: Sequence[bytes | None]
) -> DataError:
    """The error that names the value's column, and its row by the key."""
    key = [
        f"{each.name}={_shown(each, cell)}"
        for each, cell in zip(rules, row, strict=True)
        if each.key
    ]
    return DataError(
        refused.what,
        table=rule.table,
        column=rule.name,
        type=rule.source_type,
        row=" ".join(key) or None,
        hint=refused.hint,
    )


def _shown(rule: Rule, cell: bytes | None) -> str | None:
    if cell is None:
        return None
    return cell.hex() if rule.cast is Cast.HEX else cell.decode(errors="replace")


def dates(rule: Rule, found: npt.NDArray[np.generic], bad: Bools, null: Bools | None) -> Ruling:
    """Dates or moments, of which `bad` are none that a calendar has."""
    if null is not None:
        bad = bad & ~null
    impossible = int(np.count_nonzero(bad))
    if impossible and rule.policies.dates is Dates.FAIL:
        hint = "mend the date at the source, or set dates: null or text for the column"
        return Refused(int(bad.argmax()), "a date that no calendar has", hint)
    if impossible:
        null = bad if null is None else bad | null
    array = arrays.fixed(arrow_type(rule.arrow), found, null)
    return Kept(array, {Change.NULLED: impossible} if impossible else {})


def flags(found: npt.NDArray[np.integer], null: Bools | None) -> Ruling:
    """Numbers that must be truth values."""
    strange = (found != 0) & (found != 1)
    if null is not None:
        strange &= ~null
    if strange.any():
        hint = "mend it at the source, or set tinyint1: smallint for the column"
        return Refused(int(strange.argmax()), "a number that is neither 0 nor 1", hint)
    return Kept(arrays.flags(found != 0, null))


def longs(found: npt.NDArray[np.uint64], null: Bools | None) -> Ruling:
    """Numbers without a sign that must fit where there is one."""
    wide = found > _GREATEST
    if null is not None:
        wide &= ~null
    if wide.any():
        hint = "set bigint_unsigned: decimal for the column"
        return Refused(int(wide.argmax()), "a number above 9223372036854775807", hint)
    return Kept(arrays.fixed(pa.int64(), found.view(np.int64), null))


def shown(rule: Rule, values: Values) -> Ruling:
    """Values that are texts or bytes."""
    if rule.geometry:
        array = geometry.ewkb(values)
        if array is None:
            raise arrays.unfit(rule)
    elif rule.cast is Cast.LONG:
        numbers = pc.cast(arrays.together(values).view(pa.string()), pa.uint64())
        return longs(pc.fill_null(numbers, 0).to_numpy(), values.null)
    else:
        array = arrays.shown(rule, values)
    stripped = 0
    if rule.strips:
        array, stripped = _stripped(array)
    kept = _fitted(rule, array)
    return (
        Kept(kept.array, {**kept.changed, Change.STRIPPED: stripped}, kept.flag)
        if stripped
        else kept
    )


def _stripped(array: pa.Array) -> tuple[pa.Array, int]:
    """The texts without NUL characters, and how many had any."""
    data = array.buffers()[2]
    if data is None or np.frombuffer(data, np.uint8).all():
        return array, 0
    count = pc.sum(pc.match_substring(array, "\0")).as_py() or 0
    return pc.replace_substring(array, "\0", ""), count


def _fitted(rule: Rule, array: pa.Array) -> Kept:
    """The values, those that are too long cut or NULL, where one of the two is asked for."""
    if rule.long_text is LongText.FAIL:
        return Kept(array)
    ends = np.frombuffer(array.buffers()[1], np.int32, len(array) + 1).astype(np.int64)
    length = np.diff(ends)
    most = rule.octets or 0
    cuts = rule.long_text is LongText.TRUNCATE
    if not len(length) or int(length.max()) <= most:
        flag = arrays.flags(np.zeros(len(array), np.bool_), None) if cuts else None
        return Kept(array, flag=flag)
    long = length > most
    rows, count = np.flatnonzero(long), int(np.count_nonzero(long))
    start, end = ends[:-1], ends[1:].copy()
    end[rows] = _cut(rule, array, start[rows]) if cuts else start[rows]
    null = None if array.null_count == 0 else pc.is_null(array).to_numpy(zero_copy_only=False)
    if not cuts:
        null = long if null is None else null | long
    data = np.frombuffer(array.buffers()[2], np.uint8)
    fitted = arrays.together(Values(data, start, end, null)).view(array.type)
    if cuts:
        return Kept(fitted, {Change.TRUNCATED: count}, arrays.flags(long, None))
    return Kept(fitted, {Change.NULLED: count})


def _cut(rule: Rule, array: pa.Array, start: Ints) -> Ints:
    """Where values that are too long end: behind a whole character, or a whole byte's digits."""
    most = rule.octets or 0
    if rule.cast is Cast.HEX:
        return start + (most if rule.arrow == "binary" else most // 2 * 2)
    cut, data = start + most, np.frombuffer(array.buffers()[2], np.uint8)
    for _ in range(_LONGEST_TAIL):
        cut -= (data[cut] & _CONTINUES) == _CONTINUED
    return cut
