"""Where every table stands, by its state in S3 alone: no source and no target is asked.

A state belongs to whom its own text says; it must then lie under the key that follows from that,
or it was moved there by hand. Tables of a pipeline that were never read have no state and are told
as such.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

from .commit import State
from .config import Connections, Pipeline
from .errors import DataError, Error
from .flow import together
from .model import TableName
from .s3.codec import pack
from .s3.layout import Layout, root
from .s3.ownership import is_gone, this_process
from .s3.state import decode
from .s3.store import Store, open_store

_AT_ONCE = 16
_LEVELS = 3  # below a pipeline: connection, schema, table


@dataclass(frozen=True, slots=True)
class Standing:
    """One table: its state, None where there is none, or why it can't be believed."""

    pipeline: str
    source: str
    table: str
    state: State | None
    version: int = 0
    holder: str | None = None
    error: Error | None = None

    def as_json(self) -> dict[str, object]:
        """The same for people and programs."""
        state = self.state
        told: dict[str, object] = {
            "pipeline": self.pipeline,
            "source": self.source,
            "table": self.table,
        }
        if self.error is not None:
            return {**told, "status": "damaged", "error": str(self.error), "hint": self.error.hint}
        if state is None:
            return {**told, "status": "never read"}
        return {
            **told,
            "status": _word(state, self.holder),
            "mysql_status": _mysql_word(state, self.holder),
            "redshift_status": _redshift_word(state),
            "target": state.target,
            "watermark": state.position.cursor if state.position is not None else None,
            "position": pack(state.position),
            "last_mysql_data_timestamp": state.last_mysql_data_timestamp,
            "last_mysql_extraction_time": state.last_mysql_extraction_time,
            "rows_extracted": state.rows.extracted,
            "backup_strategy": state.backup_strategy,
            "replace_window": pack(state.replace_window),
            "rows_loaded": state.rows.loaded,
            "rows_counted": state.rows.counted,
            "pending_batches": len(state.pending),
            "pending_rows": sum(batch.rows for batch in state.pending),
            "last_loaded_at": state.loaded.at if state.loaded is not None else None,
            "last_failure": state.last_failure,
            "held_by": self.holder,
            "stopped": state.stop,
            "generation": state.generation,
            "epoch": state.epoch,
            "version": self.version,
        }


async def standings(
    connections: Connections, pipelines: Sequence[Pipeline] | None = None
) -> list[Standing]:
    """Every table of the pipelines; without any, every state under the prefix."""
    async with open_store(connections.s3) as store:
        prefix = connections.s3.prefix
        if pipelines is not None:
            layouts = [
                Layout(prefix, each.name, each.source, entry.spec.table)
                for each in pipelines
                for entry in each.entries
            ]
            return await _read(store, layouts)
        return await _everything(store, prefix)


async def standing(
    connections: Connections, pipeline: str, source: str, table: TableName
) -> Standing:
    """One table in one pipeline."""
    async with open_store(connections.s3) as store:
        layout = Layout(connections.s3.prefix, pipeline, source, table)
        return (await _read(store, [layout]))[0]


async def files(
    connections: Connections, pipeline: str, source: str, table: TableName
) -> list[dict[str, object]]:
    """The parts of the batches that wait, and of the one that was loaded last."""
    layout = Layout(connections.s3.prefix, pipeline, source, table)
    async with open_store(connections.s3) as store:
        found = (await _read(store, [layout]))[0]
        if found.state is None:
            return []
        waiting = {each.batch for each in found.state.pending}
        last = found.state.loaded.batch if found.state.loaded is not None else ""
        return [
            {"batch": key.attempt.batch, "status": status, "key": entry.key, "bytes": entry.size}
            async for entry in store.list(layout.data)
            if (key := layout.parse(entry.key)) is not None
            and key.part is not None
            and (status := _file_word(key.attempt.batch, waiting, last))
        ]


async def documents(
    connections: Connections, wanted: Standing | None = None
) -> list[tuple[Layout, bytes]]:
    """Every state under the prefix, or that of one table, as it lies there, checked."""
    found = await standings(connections) if wanted is None else [wanted]
    for each in found:
        if each.error is not None:
            raise each.error
    layouts = [
        Layout(connections.s3.prefix, each.pipeline, each.source, TableName.parse(each.table))
        for each in found
    ]
    async with open_store(connections.s3) as store:
        bodies = await _bodies(store, [layout.state for layout in layouts])
    return [(at, body) for at, body in zip(layouts, bodies, strict=True) if body is not None]


def _file_word(batch: str, waiting: set[str], last: str) -> str:
    return "waiting" if batch in waiting else "loaded" if batch == last else ""


async def _read(store: Store, layouts: Sequence[Layout]) -> list[Standing]:
    bodies = await _bodies(store, [layout.state for layout in layouts])
    return [_judged(layout, body) for layout, body in zip(layouts, bodies, strict=True)]


async def _everything(store: Store, prefix: str) -> list[Standing]:
    """Walk pipeline, connection, schema and table; what lies under a table is not listed."""
    folders = [each async for each in store.folders(root(prefix)) if not _is_aside(each, prefix)]
    for _ in range(_LEVELS):
        folders = [inner for each in folders async for inner in store.folders(each)]
    keys = [f"{folder}state.json" for folder in folders]
    bodies = zip(keys, await _bodies(store, keys), strict=True)
    found = [_own(prefix, key, body) for key, body in bodies if body is not None]
    return sorted(found, key=lambda each: (each.pipeline, each.source, each.table))


async def _bodies(store: Store, keys: Sequence[str]) -> list[bytes | None]:
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(key: str) -> bytes | None:
        async with places:
            stored = await store.get(key)
        return stored.body if stored is not None else None

    async with together() as tasks:
        reading = [tasks.create_task(one(key), name=key) for key in keys]
    return [task.result() for task in reading]


def _is_aside(folder: str, prefix: str) -> bool:
    return folder.removeprefix(root(prefix)).startswith("_")


def _own(prefix: str, key: str, body: bytes) -> Standing:
    """The state by what it says of itself."""
    try:
        raw = json.loads(body)
        pipeline, source, table = (str(raw[name]) for name in ("pipeline", "source", "table"))
        layout = Layout(prefix, pipeline, source, TableName.parse(table))
    except (ValueError, KeyError, TypeError, Error):
        return Standing("?", "?", "?", None, error=_strange(key, "it is not a state of ours"))
    if layout.state != key:
        strange = _strange(key, f"its own text says that it belongs under {layout.state}")
        return Standing(pipeline, source, table, None, error=strange)
    return _judged(layout, body)


def _judged(layout: Layout, body: bytes | None) -> Standing:
    names = (layout.pipeline, layout.connection, str(layout.table))
    if body is None:
        return Standing(*names, None)
    try:
        document = decode(body, layout)
    except DataError as error:
        return Standing(*names, None, error=error)
    return Standing(*names, document.state, document.version, _holder(document.state))


def _strange(key: str, reason: str) -> DataError:
    return DataError(
        "an object in the place of a state cannot be believed",
        key=key,
        reason=reason,
        hint="put the state's newest copy from hist/ back, or move the object away",
    )


def _word(state: State, holder: str | None) -> str:
    if state.stop is not None:
        return "stopped"
    if holder is not None:
        return "extracting"
    return "loading" if state.pending else "failed" if state.last_failure else "loaded"


def _mysql_word(state: State, holder: str | None) -> str:
    """How far extraction is, as v1 called it; derived, so it cannot disagree with the rest."""
    if state.stop is not None:
        return "failed"
    if holder is not None:
        return "running"
    if state.last_failure is not None:
        return "failed"
    return "success" if state.last_batch else "pending"


def _redshift_word(state: State) -> str:
    if state.stop is not None:
        return "failed"
    if state.pending or not state.last_batch:
        return "failed" if state.pending and state.last_failure is not None else "pending"
    return "success"


def _holder(state: State) -> str | None:
    """Who holds the table, unless it has let go or is known to be gone."""
    claim = state.claim
    if claim is None or is_gone(claim, this_process()):
        return None
    return str(claim)
