"""Row packets of the text protocol → one Arrow record batch, column by column for all rows at once.

Every row's cursor stands at its next value. A column reads the length byte of all rows in one
gather, knows where its values are, makes them an array, and leaves the cursors at their ends. After
the last column each must stand at the start of the next packet: a free proof that no length was
misread. Dates and times are computed from their digits, as many as the server says that the column
of the result has, which in a view may be fewer than it is described with; all else is `arrays`'.

A date that no calendar has (all zero, a zero month, 31 February) becomes NULL and is counted. Any
other value that its type cannot hold is an error: nothing is rounded, wrapped or cut.

`binary` does the same for the other protocol, into the same schema. CPU work only: it belongs on a
thread, where numpy and Arrow mostly leave the interpreter to others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from . import arrays, moments, wire
from .arrays import Values, arrow_type
from .field import Field
from .types import Cast, Rule
from .wire import Packets

_HEADER = 4
_ONE = ord("1")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A record batch, and per column how many impossible dates became NULL (none: not named)."""

    batch: pa.RecordBatch
    nulled: dict[str, int]


def schema(rules: Sequence[Rule]) -> pa.Schema:
    """The Arrow schema that rules give."""
    return pa.schema([pa.field(rule.name, arrow_type(rule.arrow), rule.nullable) for rule in rules])


class TextDecoder:
    """Turns packets of the text protocol into batches of one schema."""

    def __init__(self, rules: Sequence[Rule], fields: Sequence[Field]) -> None:
        if len(rules) != len(fields):
            raise arrays.misread()
        self._columns = list(zip(rules, fields, strict=True))
        self.schema = schema(rules)

    def decode(self, packets: Packets) -> Decoded:
        """All rows of the packets; DataError naming the column that cannot be read."""
        found: list[pa.Array] = []
        nulled: dict[str, int] = {}
        at = packets.starts + _HEADER
        for rule, field in self._columns:
            values = arrays.behind_lengths(packets.data, at)
            with arrays.fitting(rule):
                array, impossible = _array(rule, field, values)
            found.append(array)
            if impossible:
                nulled[rule.name] = impossible
            at = values.end
        arrays.check_ends(at, packets.starts, packets.end)
        return Decoded(pa.RecordBatch.from_arrays(found, schema=self.schema), nulled)

    def last(self, packets: Packets) -> list[bytes | None]:
        """The values of the last row as they were sent."""
        start = int(packets.starts[-1])
        return wire.cells(packets.data[start : packets.end].tobytes(), 0, packets.end - start)


def _array(rule: Rule, field: Field, values: Values) -> tuple[pa.Array, int]:
    match rule.cast:
        case Cast.DATE:
            _check_width(rule, values, moments.DATE_WIDTH)
            days, bad = moments.dates(values.data, values.start)
            return arrays.moments(rule, days, bad, values.null)
        case Cast.MOMENT:
            _check_width(rule, values, moments.stamp_width(field.fraction))
            micros, bad = moments.stamps(values.data, values.start, field.fraction)
            return arrays.moments(rule, micros, bad, values.null)
        case Cast.SPAN:
            _check_width(rule, values, *moments.span_widths(field.fraction))
            micros = moments.spans(values.data, values.start, values.end, field.fraction)
            return arrays.fixed(pa.int64(), micros, values.null), 0
        case Cast.FLAG:
            return arrays.flags(values.data.take(values.end - 1) == _ONE, values.null), 0
        case Cast.HEX | Cast.TEXT | Cast.PLAIN:
            return arrays.shown(rule, values), 0


def _check_width(rule: Rule, values: Values, least: int, most: int | None = None) -> None:
    """Digits are found by their place: a value of another width is none of the column's."""
    width = values.end - values.start
    bad = (width < least) | (width > (most or least))
    if values.null is not None:
        bad &= ~values.null
    if bad.any():
        raise arrays.unfit(rule)
