"""The old tool's watermark taken over: once, where the table has none, and what it was is told.

The old object is left where it is, its place and ETag go into the audit. The target is already full
up to there, so the first load adopts it (`commit.adopts`). From a time alone reading starts at that
time, whose rows come once more: a merge does not mind, an append would have them twice and is
refused.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ..commit.legacy import Legacy, imported, read_legacy
from ..errors import ConfigError, ConflictError
from ..model import Mode
from ..s3.register import LostError
from .bench import Bench, Changed, edit, landed
from .form import Form, form_of

if TYPE_CHECKING:
    from ..model import Position


async def take_over(
    bench: Bench, body: bytes, where: str, mark: str, *, who: str, dry: bool = False
) -> Changed:
    """Go on from the old watermark in `body`, which lies at `where` under the tag `mark`."""
    old = read_legacy(body, where)
    if await bench.register.read() is not None:
        raise _taken(bench)
    position = _position(await form_of(bench, None), old)
    made = edit(f"import --v1 {where} {mark}", who)
    birth = bench.register.birth
    change = partial(imported, position=position, edit=made)
    if dry:
        return Changed(None, change(birth), None)
    try:
        won = await landed(partial(bench.register.swap, None, change))
    except LostError as lost:
        raise _taken(bench) from lost
    return Changed(None, won.state, won.version)


def _position(form: Form, old: Legacy) -> Position:
    """Where to go on, in the table's own words."""
    if form.mode is Mode.REPLACE:
        raise ConfigError(
            "the table is read whole each time, it has no watermark",
            table=form.table,
            hint="nothing is to be taken over: its next sync replaces the target",
        )
    timestamp = old.timestamp if form.cursor is not None else None
    identity = old.id if form.ties == 1 else None
    position = form.position(timestamp, identity)
    if position is None:
        raise ConfigError(
            "the old watermark says nothing that this table is read by",
            table=form.table,
            hint="begin with s3rs watermark set",
        )
    if form.mode is Mode.APPEND and position.key is None:
        raise ConfigError(
            "the old watermark has a time and no id: rows of that very time would come twice",
            table=form.table,
            watermark=position.cursor,
            hint="add last_processed_id to it, or merge the table (apply: merge)",
        )
    return position


def _taken(bench: Bench) -> ConflictError:
    return ConflictError(
        "the table has a state already",
        table=str(bench.spec.table),
        hint="an old watermark is taken over only where there is none: s3rs watermark set moves it",
    )
