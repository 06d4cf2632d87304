"""States as a document that leaves the bucket and comes back, each in its own words.

What comes in passes every check that a state in its place would, is written where there is none,
under an epoch above all that its batches' keys show; over another state only by force.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, cast

from .. import commit
from ..errors import ConfigError, ConflictError
from ..s3.codec import Json, dumps, loads
from ..s3.register import LostError
from ..s3.state import DamagedError, Document, decode
from .bench import Changed, check_ours, edit, landed, last_epoch, last_version, survey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from ..s3.register import Versioned
    from .bench import Bench

FORMAT: Final = "s3rs-states"
SCHEMA: Final = 1
_NAMES: Final = ("pipeline", "source", "table")


def export_of(bodies: Sequence[bytes]) -> Json:
    """The document of these states, as they lie in the bucket."""
    return {"format": FORMAT, "schema": SCHEMA, "states": [loads(body) for body in bodies]}


def body_of(document: object, bench: Bench) -> Json:
    """The table's state in a document; ConfigError where there is none."""
    raw = document if isinstance(document, dict) else {}
    states = raw.get("states")
    if (raw.get("format"), raw.get("schema")) != (FORMAT, SCHEMA) or not isinstance(states, list):
        raise ConfigError(
            "the file holds no exported states", hint="s3rs watermark export writes such a file"
        )
    birth = bench.register.birth
    for each in states:
        names = [each.get(name) for name in _NAMES] if isinstance(each, dict) else []
        if names == [birth.pipeline, birth.source, birth.table]:
            return cast("Json", each)
    raise ConfigError(
        "the file holds no state of this table",
        pipeline=birth.pipeline,
        table=birth.table,
        hint="a state goes back to the pipeline, source and table that it was exported from",
    )


async def take_in(
    bench: Bench, body: Json, *, who: str, force: bool = False, dry: bool = False
) -> Changed:
    """Write an exported state where there is none; with `force` over the one that there is."""
    state = _believed(bench, body).state
    check_ours(bench, state)
    found = await survey(bench.register)
    if found.etag is not None and not force:
        raise ConflictError(
            "the table has a state already",
            table=str(bench.spec.table),
            hint="--force puts the imported one in its place, under a new epoch",
        )
    before = found.current
    seen = max(await last_epoch(bench), before.state.epoch if before is not None else 0)
    after = commit.restored(state, edit("import", who), epoch=seen)
    changed = Changed(before.state if before is not None else None, after, None)
    if dry:
        return changed
    version = max(before.version if before is not None else 0, await last_version(bench)) + 1
    won = await _write(partial(bench.register.rebuild, found, after, version=version), bench)
    return Changed(changed.before, won.state, won.version)


async def _write(write: Callable[[], Awaitable[Versioned]], bench: Bench) -> Versioned:
    try:
        return await landed(write)
    except LostError as lost:
        raise ConflictError(
            "another process has written the state meanwhile",
            table=str(bench.spec.table),
            hint="nothing was changed: look at what is there now",
        ) from lost


def _believed(bench: Bench, body: Json) -> Document:
    try:
        return decode(dumps(body).encode(), bench.layout)
    except DamagedError as damage:
        raise ConfigError(
            "an exported state was changed since, or belongs to another table",
            table=str(bench.spec.table),
            reason=str(damage.context.get("reason")),
            hint="import the file as it was exported; change fields with s3rs watermark edit",
        ) from damage
