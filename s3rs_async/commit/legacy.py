"""The watermark file of the tool before this one, read once and strictly.

It is a JSON object of its own making: how far MySQL was read (`last_mysql_data_timestamp`, and a
last id), when, and how both stages ended. Only what was also loaded may be gone on from: where its
`redshift_status` says otherwise, rows that it has read would never arrive. Fields that we do not
know are refused, since one of them may mean that the mark is none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Final

from ..errors import ConfigError, DataError
from ..model import Position
from .overrides import MANUAL, Edit, audited
from .state import State

_IDS: Final = ("last_processed_id", "last_id")
_KNOWN: Final = frozenset(
    {
        "last_mysql_data_timestamp",
        "last_mysql_extraction_time",
        "mysql_status",
        "redshift_status",
        "backup_strategy",
        "metadata",
        "table_name",
        *_IDS,
    }
)
_DONE: Final = "success"


@dataclass(frozen=True, slots=True)
class Legacy:
    """What an old watermark says: a cursor and an id, each as text, and when it was reached."""

    timestamp: str | None
    id: str | None
    extracted_at: str | None


def read_legacy(body: bytes, where: str) -> Legacy:
    """The old watermark in `body`; DataError naming `where` for one that can't be gone on from."""
    try:
        raw = json.loads(body)
    except ValueError as reason:
        raise _not_one(where, str(reason)) from reason
    if not isinstance(raw, dict):
        raise _not_one(where, "not an object")
    if strange := sorted(raw.keys() - _KNOWN):
        raise _not_one(where, f"unknown fields: {', '.join(strange)}")
    _check_done(raw, where)
    ids = {_text(raw, name, where) for name in _IDS if raw.get(name) is not None}
    if len(ids) > 1:
        raise _not_one(where, f"{' and '.join(_IDS)} differ")
    timestamp = _text(raw, "last_mysql_data_timestamp", where)
    found = Legacy(
        timestamp, next(iter(ids), None), _text(raw, "last_mysql_extraction_time", where)
    )
    if found.timestamp is None and found.id is None:
        raise _not_one(where, "it has neither a timestamp nor an id")
    return found


def imported(birth: State, position: Position, edit: Edit) -> State:
    """The first state of a table that another tool has loaded up to `position`."""
    if birth.last_batch or birth.position is not None:
        raise ConfigError(
            "the table has a watermark of its own",
            table=birth.table,
            hint="an old one is taken over only where there is none: s3rs watermark set moves it",
        )
    after = replace(
        birth,
        epoch=birth.epoch + 1,
        position=position,
        last_mysql_data_timestamp=position.cursor,
        backup_strategy=MANUAL,
        imported=True,
    )
    return audited(birth, after, edit)


def _check_done(raw: dict[str, object], where: str) -> None:
    for name in ("mysql_status", "redshift_status"):
        if raw.get(name) != _DONE:
            raise DataError(
                "the old watermark is of a run that did not end well",
                file=where,
                field=name,
                status=str(raw.get(name)),
                hint="let the old tool finish that table, or begin with s3rs watermark set",
            )


def _text(raw: dict[str, object], name: str, where: str) -> str | None:
    value = raw.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _not_one(where, f"{name} is neither a text nor a whole number")
    return str(value)


def _not_one(where: str, reason: str) -> DataError:
    return DataError(
        "not a watermark of the tool before",
        file=where,
        reason=reason,
        hint="name the JSON object that holds this table's watermark, or use s3rs watermark set",
    )
