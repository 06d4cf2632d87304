"""Row packets of the text protocol → one Arrow record batch, column by column for all rows at once.

Every row's cursor stands at its next value. A column reads the length byte of all rows in one
gather, knows where its values are, makes them an array, and leaves the cursors at their ends. After
the last column each must stand at the start of the next packet: a free proof that no length was
misread. Dates and times are computed from their digits, as many as the server says that the column
of the result has, which in a view may be fewer than it is described with; all else is `arrays`'.

What its column has no equal for (a date that no calendar has, a text that is too long) becomes what
its policy says (`policy`), and is counted. Any other value that its type cannot hold is an error:
nothing is rounded, wrapped or cut.

`binary` does the same for the other protocol, into the same schema. CPU work only: it belongs on a
thread, where numpy and Arrow mostly leave the interpreter to others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ..model import Changes
from . import arrays, moments, policy, wire
from .arrays import Values, arrow_type
from .field import Field
from .policy import Gathered, Kept, Ruling
from .types import Cast, Rule
from .wire import Packets

_HEADER = 4
_ZERO, _STRANGE = ord("0"), np.uint8(255)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A record batch, and how many of its values a policy has changed."""

    batch: pa.RecordBatch
    changed: Changes


def schema(rules: Sequence[Rule]) -> pa.Schema:
    """The Arrow schema that rules give."""
    columns = [column for rule in rules for column in rule.columns]
    return pa.schema(
        [pa.field(column.name, arrow_type(column.arrow), column.nullable) for column in columns]
    )


class TextDecoder:
    """Turns packets of the text protocol into batches of one schema."""

    def __init__(self, rules: Sequence[Rule], fields: Sequence[Field]) -> None:
        if len(rules) != len(fields):
            raise arrays.misread()
        self._columns = list(zip(rules, fields, strict=True))
        self.schema = schema(rules)

    def decode(self, packets: Packets) -> Decoded:
        """All rows of the packets; DataError naming the column that cannot be read."""
        gathered = Gathered()
        at = packets.starts + _HEADER
        for rule, field in self._columns:
            values = arrays.behind_lengths(packets.data, at)
            with arrays.fitting(rule):
                gathered.take(rule, _read(rule, field, values))
            at = values.end
        arrays.check_ends(at, packets.starts, packets.end)
        if gathered.refused is not None:
            rule, refused = gathered.refused
            rules = [rule for rule, _ in self._columns]
            raise policy.refusal(refused, rule, rules, self.row(packets, refused.row))
        batch = pa.RecordBatch.from_arrays(gathered.arrays, schema=self.schema)
        return Decoded(batch, gathered.changed)

    def last(self, packets: Packets) -> list[bytes | None]:
        """The values of the last row as they were sent."""
        return self.row(packets, packets.rows - 1)

    def row(self, packets: Packets, index: int) -> list[bytes | None]:
        """The values of a row as they were sent; None for what is too long for a key."""
        start = int(packets.starts[index])
        end = int(packets.starts[index + 1]) if index + 1 < packets.rows else packets.end
        found = wire.cells(packets.data.data, start, end, wire.LONGEST_KEY)
        if len(found) != len(self._columns):
            raise arrays.misread()
        return found


def _read(rule: Rule, field: Field, values: Values) -> Ruling:
    match rule.cast:
        case Cast.DATE:
            _check_width(rule, values, moments.DATE_WIDTH)
            days, bad = moments.dates(values.data, values.start)
            return policy.dates(rule, days, bad, values.null)
        case Cast.MOMENT:
            _check_width(rule, values, moments.stamp_width(field.fraction))
            micros, bad = moments.stamps(values.data, values.start, field.fraction)
            return policy.dates(rule, micros, bad, values.null)
        case Cast.SPAN:
            _check_width(rule, values, *moments.span_widths(field.fraction))
            micros = moments.spans(values.data, values.start, values.end, field.fraction)
            return Kept(arrays.fixed(pa.int64(), micros, values.null))
        case Cast.FLAG:
            one = values.end - values.start == 1
            digits = values.data.take(values.start) - np.uint8(_ZERO)
            return policy.flags(np.where(one, digits, _STRANGE), values.null)
        case Cast.HEX | Cast.TEXT | Cast.PLAIN | Cast.LONG:
            return policy.shown(rule, values)


def _check_width(rule: Rule, values: Values, least: int, most: int | None = None) -> None:
    """Digits are found by their place: a value of another width is none of the column's."""
    width = values.end - values.start
    bad = (width < least) | (width > (most or least))
    if values.null is not None:
        bad &= ~values.null
    if bad.any():
        raise arrays.unfit(rule)
