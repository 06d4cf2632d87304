"""`state.json` as bytes: the state in its envelope, and every check before it may be believed.

The envelope makes bytes unique (`version`, `write_id`: an ETag may be an MD5 of the body, and
A→B→A would bring the old one back) and damage visible (`body_sha256` over the canonical text of
everything else). Fields at the top that we do not know are kept, so an older release does not
undress what a newer one wrote; unknown fields further down stop the table, as do a wrong digest, a
broken chain or a key outside our own prefix. A stopped table is better than a guessed one.

This release reads its own schema and the one before, and writes its own: the first change of a
table brings it up, and an older release then stops at `min_reader` instead of guessing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import TYPE_CHECKING, cast

from ..commit import FIRST_GENERATION, State
from ..errors import DataError
from .codec import Json, digest, dumps, loads, pack, unpack

if TYPE_CHECKING:
    from .layout import Layout

FORMAT = "s3rs-state"
SCHEMA = 2
LARGEST = 4 * 1024 * 1024

_ENVELOPE = ("format", "schema", "min_reader", "version", "write_id", "body_sha256")
_OWN = frozenset(f.name for f in fields(State))


class DamagedError(DataError):
    """What lies in the state's place is no state, or one that was changed by hand."""


@dataclass(frozen=True, slots=True)
class Document:
    """One write of the state: its number, its author's stamp, and what we do not understand."""

    state: State
    version: int
    write_id: str
    unknown: Json = field(default_factory=dict)


def encode(document: Document, layout: Layout) -> bytes:
    """The bytes of a document; DataError when we ourselves would refuse to read them."""
    try:
        _check(document.state, layout)
        raw = document.unknown | pack(document.state)
        raw |= {"format": FORMAT, "schema": SCHEMA, "min_reader": SCHEMA}
        raw |= {"version": document.version, "write_id": document.write_id}
        body = dumps(raw | {"body_sha256": digest(raw)}).encode("utf-8")
        _check_size(body)
    except ValueError as reason:
        raise DataError(
            "the new state is not one that could be read again",
            table=document.state.table,
            reason=str(reason),
            hint="load what is pending, then sync again",
        ) from reason
    return body


def decode(body: bytes, layout: Layout) -> Document:
    """The document in the bytes; DataError that stops the table when anything is wrong with it."""
    try:
        return _decode(body, layout)
    except ValueError as reason:
        raise DamagedError(
            "the state object is damaged: the table is stopped, nothing was written",
            key=layout.state,
            reason=str(reason),
            hint="put its newest good copy back: s3rs watermark restore",
        ) from reason


def _decode(body: bytes, layout: Layout) -> Document:
    _check_size(body)
    raw = loads(body)
    if not isinstance(raw, dict):
        raise ValueError("not an object")  # noqa: TRY004 - one kind of failure for one answer
    _check_envelope(raw, layout)
    if raw["schema"] < SCHEMA:
        raw = _upgraded(raw)
    state = unpack(State, {name: raw[name] for name in raw.keys() & _OWN})
    _check(state, layout)
    unknown = {k: v for k, v in raw.items() if k not in _OWN and k not in _ENVELOPE}
    return Document(state, raw["version"], raw["write_id"], unknown)


def _upgraded(raw: Json) -> Json:
    """A state of schema 1 in the words of 2: nothing edited, nothing counted, nothing imported."""
    rows = raw.get("rows")
    if isinstance(rows, dict):
        rows = {**rows, "override": None}
    return {"replace_window": None} | raw | {"rows": rows, "audit": [], "imported": False}


def _check_size(body: bytes) -> None:
    if len(body) > LARGEST:
        raise ValueError(f"{len(body)} bytes are more than {LARGEST}")


def _check_envelope(raw: Json, layout: Layout) -> None:
    if raw.get("format") != FORMAT:
        raise ValueError(f"format is not {FORMAT}")
    for name in ("schema", "min_reader", "version"):
        if type(raw.get(name)) is not int or raw[name] < 1:
            raise ValueError(f"{name} is not a number from 1")
    if max(raw["schema"], raw["min_reader"]) > SCHEMA:
        raise DataError(
            "a newer release wrote the state: the table is stopped, nothing was written",
            key=layout.state,
            schema=cast("int", raw["schema"]),
            min_reader=cast("int", raw["min_reader"]),
            hint="run that release or a newer one",
        )
    if type(raw.get("write_id")) is not str or not raw["write_id"]:
        raise ValueError("write_id is not a text")
    if raw.get("body_sha256") != digest({k: v for k, v in raw.items() if k != "body_sha256"}):
        raise ValueError("body_sha256 does not fit the body: edited by hand, or damaged")


def _check(state: State, layout: Layout) -> None:
    """The state hangs together: numbers in range, keys of our own, one chain to its end."""
    if state.epoch < 0 or state.generation < FIRST_GENERATION or state.next_seq < 1:
        raise ValueError("epoch, generation or next_seq is out of range")
    if min(state.rows.extracted, state.rows.loaded) < 0:
        raise ValueError("a row count is below nought")
    for pending in state.pending:
        at = layout.parse(pending.manifest)
        if at is None or not pending.manifest.endswith("/batch.json"):
            raise ValueError(f"manifest of batch {pending.batch} is not under our own prefix")
        if (at.attempt.seq, at.attempt.batch) != (pending.seq, pending.batch):
            raise ValueError(f"manifest of batch {pending.batch} is that of another")
    _check_chain(state)


def _check_chain(state: State) -> None:
    for before, after in pairwise(state.pending):
        if (after.seq, after.parent) != (before.seq + 1, before.batch):
            raise ValueError(f"pending is not one chain at batch {after.batch}")
    if state.pending:
        last = state.pending[-1]
        if (last.seq + 1, last.batch) != (state.next_seq, state.last_batch):
            raise ValueError("pending does not end at last_batch")
