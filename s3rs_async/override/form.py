"""How a table's marks are written, so that what a person types becomes a position of that table.

Taken from the plan that a sync would make. Where the source is away, the table's last batch says
the same, as it was then. A time is read in the cursor's own frame (UTC for a TIMESTAMP, the wall
clock that a DATETIME holds) and cut down to its precision: never later than asked.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..errors import ConfigError, DataError, UnavailableError
from ..model import Column, CursorFormat, Manifest, Mode, Position
from ..mysql import zone
from ..mysql.types import Literal
from ..planning import plan_table
from ..s3 import manifest as manifests
from ..s3.codec import loads

if TYPE_CHECKING:
    from ..commit import State
    from ..mysql.chunk import ReadPlan
    from .bench import Bench

_WHOLE: Final = re.compile(r"-?\d+", re.ASCII)
_TYPE: Final = re.compile(r"(?P<name>[a-z]+)(\((?P<fraction>\d)\))?", re.ASCII)
_PER_SECOND: Final = {CursorFormat.UNIX: 1, CursorFormat.UNIX_MS: 1000}


@dataclass(frozen=True, slots=True)
class Form:
    """How batches meet the target, what the cursor is, and of how many columns the key.

    `cursor` None: there is none. `kind` None: a whole number of an unknown unit.
    """

    table: str
    mode: Mode
    cursor: str | None
    kind: CursorFormat | None
    data_type: str
    fraction: int
    ties: int
    whole_ids: bool

    def position(self, timestamp: str | None, identity: str | None) -> Position | None:
        """The position that is meant; None where nothing is named."""
        if timestamp is None and identity is None:
            return None
        if self.cursor is None and timestamp is not None:
            raise self._refused("the table is not read by a time", "name an --id instead")
        if self.cursor is not None and timestamp is None:
            raise self._refused(
                "an id alone is no place in a table that is read by time", "add --timestamp"
            )
        cursor = self._time(timestamp) if timestamp is not None else None
        return Position(cursor, self._key(identity) if identity is not None else None)

    def _key(self, identity: str) -> tuple[str, ...]:
        if self.ties != 1:
            raise self._refused(
                f"rows of one time are told apart by {self.ties} columns, not by one id",
                "give --timestamp alone: its rows are read from the first one",
            )
        if not identity or (self.whole_ids and _WHOLE.fullmatch(identity) is None):
            raise self._refused("not an id of this table", "it is a whole number", id=identity)
        return (identity,)

    def _time(self, text: str) -> str:
        if self.kind is CursorFormat.COLUMN:
            return zone.text(self._wall(text), self.data_type, self.fraction)
        if _WHOLE.fullmatch(text) is not None:
            return str(int(text))
        if self.kind is None:
            raise self._refused("not a number", "the cursor holds whole numbers", timestamp=text)
        wall = self._wall(text)
        aware = wall if wall.tzinfo is not None else wall.replace(tzinfo=dt.UTC)
        return str(int(aware.timestamp() * _PER_SECOND[self.kind]))

    def _wall(self, text: str) -> dt.datetime:
        try:
            wall = dt.datetime.fromisoformat(text)
        except ValueError as reason:
            raise self._refused(
                "not a time", "write it as 2026-11-22 or '2026-11-22 03:10:00'", timestamp=text
            ) from reason
        if wall.tzinfo is None or self.kind is not CursorFormat.COLUMN:
            return wall
        if self.data_type != "timestamp":
            raise self._refused(
                f"{self.cursor} holds times without a zone",
                "give the time as the column shows it, without an offset",
                timestamp=text,
            )
        return wall.astimezone(dt.UTC).replace(tzinfo=None)

    def _refused(self, message: str, hint: str, **facts: str) -> ConfigError:
        return ConfigError(message, table=self.table, cursor=self.cursor, hint=hint, **facts)


async def form_of(bench: Bench, state: State | None) -> Form:
    """The form of a table's marks, by its source or, where that is away, its last batch."""
    try:
        return _of_plan((await plan_table(bench.line, bench.spec)).read)
    except UnavailableError:
        last = await _last_batch(bench, state) if state is not None else None
        if last is None:
            raise
        return _of_batch(last)


def _of_plan(plan: ReadPlan) -> Form:
    column = plan.cursor_column
    return Form(
        table=str(plan.source.name),
        mode=Mode.REPLACE if plan.whole else plan.mode,
        cursor=plan.cursor,
        kind=None if plan.format is CursorFormat.ID else plan.format,
        data_type=column.data_type if column is not None else "",
        fraction=(column.fraction or 0) if column is not None else 0,
        ties=len(plan.key_rules),
        whole_ids=all(rule.literal is Literal.NUMBER for rule in plan.key_rules),
    )


def _of_batch(batch: Manifest) -> Form:
    """A first batch that replaced says nothing of the later ones, but its merge key does."""
    mode = batch.mode
    if mode is Mode.REPLACE and batch.moves_watermark:
        mode = Mode.MERGE if batch.merge_key else Mode.APPEND
    column = next((c for c in batch.columns if c.name == batch.cursor), None)
    data_type, fraction = _typed(column)
    key = batch.after.key if batch.after is not None else None
    cursor = batch.after.cursor if batch.after is not None else None
    numeric = cursor is not None and _WHOLE.fullmatch(cursor) is not None
    return Form(
        table=str(batch.source.table),
        mode=mode,
        cursor=batch.cursor,
        kind=None if numeric else CursorFormat.COLUMN,
        data_type=data_type,
        fraction=fraction,
        ties=len(key or batch.merge_key or ("",)),
        whole_ids=key is not None and all(map(_WHOLE.fullmatch, key)),
    )


def _typed(column: Column | None) -> tuple[str, int]:
    found = _TYPE.match(column.source_type) if column is not None else None
    return (found["name"], int(found["fraction"] or 0)) if found is not None else ("", 0)


async def _last_batch(bench: Bench, state: State) -> Manifest | None:
    wanted = f"-{state.last_batch}/batch.json"
    async for entry in bench.shelf.list(bench.layout.data):
        if state.last_batch and entry.key.endswith(wanted):
            stored = await bench.shelf.get(entry.key)
            return await _believed(bench, entry.key, stored.body) if stored is not None else None
    return None


async def _believed(bench: Bench, key: str, body: bytes) -> Manifest | None:
    """The batch in the bytes, by the digest that it states itself."""
    try:
        raw = loads(body)
        stated = raw.get("sha256") if isinstance(raw, dict) else None
        return await manifests.read(bench.line.stage, key, str(stated))
    except (ValueError, DataError):
        return None
