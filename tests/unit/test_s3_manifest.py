from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from s3rs_async.errors import ConflictError, DataError, UnavailableError, UnknownOutcomeError
from s3rs_async.model import (
    Bound,
    Column,
    Manifest,
    Mode,
    Part,
    Position,
    Proof,
    SourceId,
    TableName,
    TargetId,
    Window,
)
from s3rs_async.s3 import manifest as manifests
from s3rs_async.s3.codec import digest, dumps
from s3rs_async.s3.layout import Layout
from s3rs_async.s3.object import BusyError, StaleError, Stored

TABLE = TableName("shop", "orders")
LAYOUT = Layout("s3rs", "shop", "source", TABLE)
MANIFEST = Manifest(
    pipeline="shop",
    source=SourceId("source", "uuid", TABLE),
    target=TargetId("dw", "db", TABLE),
    columns=(Column("id", "bigint", "int64", nullable=False), Column("é", "text", "string", True)),
    merge_key=("id",),
    cursor="updated_at",
    generation=1,
    epoch=2,
    seq=3,
    batch="01A00000000000000000000000",
    parent="",
    before=None,
    after=Position("2026-11-22", ("7",)),
    bound=Bound("2026-11-22", Proof.BOUNDED, "2026-11-22T10:00:00", "a transaction was open"),
    mode=Mode.MERGE,
    moves_watermark=True,
    parts=(Part("s3rs/a", 10, '"e"', 3), Part("s3rs/b", 12, '"f"', 4)),
    session="run",
    extracted_at="2026-11-22T10:00:01",
)


class Shelf:
    bucket = "stage"

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.plan: list[Any] = []
        self.order: list[str] = []

    async def get(self, key: str) -> Stored | None:
        await asyncio.sleep(0)
        return Stored(self.objects[key], "") if key in self.objects else None

    async def put_if(self, key: str, body: bytes, etag: str | None) -> str:
        await asyncio.sleep(0)
        assert etag is None
        fault = self.plan.pop(0) if self.plan else None
        if isinstance(fault, Exception):
            raise fault
        if key in self.objects:
            raise StaleError("412")
        self.objects[key] = body
        self.order.append(key)
        if fault == "applied, answer lost":
            raise UnknownOutcomeError("reset")
        return ""


async def test_a_sealed_batch_is_read_as_it_was(shelf: Shelf) -> None:
    sealed = await manifests.seal(shelf, MANIFEST, LAYOUT)

    assert await manifests.read(shelf, sealed.key, sealed.sha256) == MANIFEST
    assert shelf.order == [sealed.copy, sealed.key]
    assert json.loads(shelf.objects[sealed.copy or ""]) == {
        "entries": [
            {"url": "s3://stage/s3rs/a", "mandatory": True, "meta": {"content_length": 10}},
            {"url": "s3://stage/s3rs/b", "mandatory": True, "meta": {"content_length": 12}},
        ]
    }
    assert json.loads(shelf.objects[sealed.key])["sha256"] == sealed.sha256


async def test_a_batch_without_rows_has_nothing_for_copy(shelf: Shelf) -> None:
    sealed = await manifests.seal(shelf, replace(MANIFEST, parts=()), LAYOUT)
    assert sealed.copy is None
    assert shelf.order == [sealed.key]


@pytest.mark.parametrize(
    "fault", ["applied, answer lost", UnknownOutcomeError("500"), BusyError("409")]
)
async def test_a_lost_answer_at_sealing_is_resolved_by_reading(shelf: Shelf, fault: Any) -> None:
    shelf.plan = [fault, fault, fault]
    sealed = await manifests.seal(shelf, MANIFEST, LAYOUT)
    assert await manifests.read(shelf, sealed.key, sealed.sha256) == MANIFEST


async def test_sealing_twice_is_the_same_and_another_batch_is_not(shelf: Shelf) -> None:
    sealed = await manifests.seal(shelf, MANIFEST, LAYOUT)
    assert await manifests.seal(shelf, MANIFEST, LAYOUT) == sealed
    with pytest.raises(ConflictError):
        await manifests.seal(shelf, replace(MANIFEST, session="other"), LAYOUT)


async def test_sealing_is_given_up_some_time(shelf: Shelf) -> None:
    shelf.plan = [UnknownOutcomeError("500")] * 20
    with pytest.raises(UnavailableError, match="could not be written"):
        await manifests.seal(shelf, MANIFEST, LAYOUT)


async def test_a_changed_manifest_is_refused(shelf: Shelf) -> None:
    sealed = await manifests.seal(shelf, MANIFEST, LAYOUT)
    whole = shelf.objects[sealed.key]
    other = await manifests.seal(shelf, replace(MANIFEST, seq=4), LAYOUT)
    for body in (
        whole.replace(b'"rows":3', b'"rows":4'),
        whole.replace(sealed.sha256.encode(), b"0" * 64),
        shelf.objects[other.key],
        b"{}",
        b"[]",
        b"",
    ):
        assert body != whole
        shelf.objects[sealed.key] = body
        with pytest.raises(DataError, match="tampered") as failure:
            await manifests.read(shelf, sealed.key, sealed.sha256)
        assert failure.value.context["key"] == sealed.key


async def test_a_newer_release_s_manifest_is_not_guessed_at(shelf: Shelf) -> None:
    raw = {"format": "s3rs-batch", "schema": 4}
    sha256 = digest(raw)
    shelf.objects["key"] = dumps(raw | {"sha256": sha256}).encode()
    with pytest.raises(DataError, match="not s3rs-batch 3"):
        await manifests.read(shelf, "key", sha256)


@pytest.mark.parametrize(
    ("schema", "missing"), [(1, ("window", "cursor_else")), (2, ("cursor_else",))]
)
async def test_a_manifest_of_an_older_release_is_read_as_one_without_what_came_since(
    shelf: Shelf, schema: int, missing: tuple[str, ...]
) -> None:
    sealed = await manifests.seal(shelf, MANIFEST, LAYOUT)
    raw = json.loads(shelf.objects[sealed.key])
    for name in ("sha256", *missing):
        del raw[name]
    raw["schema"] = schema
    sha256 = digest(raw)
    shelf.objects["old"] = dumps(raw | {"sha256": sha256}).encode()
    assert await manifests.read(shelf, "old", sha256) == MANIFEST


async def test_a_window_is_sealed_and_read_as_it_was(shelf: Shelf) -> None:
    windowed = replace(MANIFEST, mode=Mode.REPLACE_WINDOW, window=Window("a", "b", open_lo=True))
    sealed = await manifests.seal(shelf, windowed, LAYOUT)
    assert await manifests.read(shelf, sealed.key, sealed.sha256) == windowed


async def test_several_cursors_are_sealed_and_read_as_they_were(shelf: Shelf) -> None:
    several = replace(MANIFEST, cursor="u", cursor_else=("c",))
    sealed = await manifests.seal(shelf, several, LAYOUT)
    found = await manifests.read(shelf, sealed.key, sealed.sha256)
    assert found.cursors == ("u", "c")


async def test_a_lost_manifest_stops_the_table(shelf: Shelf) -> None:
    with pytest.raises(DataError, match="gone"):
        await manifests.read(shelf, "key", "sha")


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()
