"""Batches as a pass leaves them in S3, for the loads that bring them in: one table's at a time."""

from __future__ import annotations

import datetime as dt
import io
import json
import urllib.request
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from s3rs_async.clock import ulid
from s3rs_async.config import TargetConfig
from s3rs_async.model import (
    Bound,
    Column,
    Manifest,
    Mode,
    Part,
    Proof,
    SourceId,
    TableName,
    TargetId,
    Window,
)
from s3rs_async.redshift import sql
from s3rs_async.redshift.connection import Target, open_target
from s3rs_async.redshift.enter import Order
from s3rs_async.redshift.loader import LoadTerms, load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from s3rs_async.commit import LedgerHead
    from s3rs_async.sandbox import Box

    Row = tuple[int, str | None, dt.datetime | None, Decimal | None]

COLUMNS = (
    Column("id", "bigint", "int64", nullable=False, redshift="BIGINT"),
    Column("Note", "varchar(3)", "string", nullable=True, octets=12, redshift="VARCHAR(12)"),
    Column("changed", "datetime(6)", "timestamp[us]", nullable=True, redshift="TIMESTAMP"),
    Column("amount", "decimal(10,2)", "decimal128(10, 2)", nullable=True, redshift="DECIMAL(10,2)"),
)
ARROW = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("Note", pa.string()),
        pa.field("changed", pa.timestamp("us")),
        pa.field("amount", pa.decimal128(10, 2)),
    ]
)
TERMS = LoadTerms("run", "writer", ghost_timeout=20.0, load_timeout=60.0)


def row(key: int, note: str | None = None, minute: int | None = 0) -> Row:
    changed = None if minute is None else dt.datetime(2026, 1, 1, 0, minute)
    return key, note, changed, Decimal(key).scaleb(-2)


def some_rows(count: int) -> pa.Table:
    moment = dt.datetime(2026, 1, 1)
    return pa.table(
        {
            "id": pa.array(range(count), pa.int64()),
            "Note": pa.array(["note"] * count),
            "changed": pa.array([moment] * count, pa.timestamp("us")),
            "amount": pa.array([Decimal("1.00")] * count, pa.decimal128(10, 2)),
        },
        schema=ARROW,
    )


@dataclass
class Line:
    """One table's batches: each new one is chained to the last that was made."""

    box: Box
    prefix: str
    schema: str
    pipeline: str = "shop"
    table: str = "orders"
    seq: int = 0
    parent: str = ""
    columns: tuple[Column, ...] = COLUMNS
    config: TargetConfig = field(init=False)

    def __post_init__(self) -> None:
        self.config = TargetConfig.model_validate(self.box.connections["targets"]["standin"])

    @property
    def target(self) -> TargetId:
        return TargetId("standin", self.box.redshift.database, TableName(self.schema, self.table))

    def batch(
        self,
        rows: Iterable[Row] | pa.Table,
        mode: Mode = Mode.MERGE,
        *,
        generation: int = 1,
        window: Window | None = None,
    ) -> Order:
        found = rows if isinstance(rows, pa.Table) else _table(rows)
        batch = ulid()
        folder = f"{self.prefix}/{batch}"
        parts = (self._part(f"{folder}/part-00000.parquet", found),) if found.num_rows else ()
        self.seq += 1
        manifest = Manifest(
            pipeline=self.pipeline,
            source=SourceId("shop_mysql", "server", TableName("shop", "orders")),
            target=self.target,
            columns=self.columns,
            merge_key=("id",) if mode in {Mode.MERGE, Mode.REPLACE} else (),
            cursor="changed",
            generation=generation,
            epoch=1,
            seq=self.seq,
            batch=batch,
            parent=self.parent,
            before=None,
            after=None,
            bound=Bound(None, Proof.NONE, "2026-01-01T00:00:00+00:00"),
            mode=mode,
            moves_watermark=True,
            parts=parts,
            session="session",
            extracted_at="2026-01-01T00:00:00+00:00",
            window=window,
        )
        self.parent = batch
        url = self._copy_manifest(folder, parts) if parts else None
        return Order(manifest, "0" * 64, '{"cursor":"x"}', url)

    def _part(self, key: str, rows: pa.Table) -> Part:
        buffer = io.BytesIO()
        pq.write_table(rows, buffer)
        content = buffer.getvalue()
        return Part(key, len(content), self._put(key, content), rows.num_rows)

    def _copy_manifest(self, folder: str, parts: tuple[Part, ...]) -> str:
        bucket = self.box.s3.bucket
        entries = [
            {
                "url": f"s3://{bucket}/{part.key}",
                "mandatory": True,
                "meta": {"content_length": part.size},
            }
            for part in parts
        ]
        self._put(f"{folder}/copy.manifest", json.dumps({"entries": entries}).encode())
        return f"s3://{bucket}/{folder}/copy.manifest"

    def _put(self, key: str, content: bytes) -> str:
        url = f"{self.box.s3.url}/{self.box.s3.bucket}/{key}"
        kind = {"Content-Type": "application/octet-stream"}
        request = urllib.request.Request(url, data=content, method="PUT", headers=kind)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return str(answer.headers["ETag"])

    def query(self, text: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.box.redshift.url, autocommit=True) as outside:
            cursor = outside.execute(text.encode())
            return cursor.fetchall() if cursor.description else []

    def notes(self) -> list[tuple[Any, ...]]:
        return self.query(f"SELECT id, note FROM {self.schema}.{self.table} ORDER BY id, note")

    def ledger(self) -> list[tuple[Any, ...]]:
        name = sql.ledger_names(self.target).ledger
        return self.query(f"SELECT batch_id, mode, rows_copied, rows_deleted FROM {name}")

    def head(self) -> list[tuple[Any, ...]]:
        name = sql.ledger_names(self.target).head
        return self.query(f"SELECT batch_id, rows_total FROM {name}")


def _table(rows: Iterable[Row]) -> pa.Table:
    listed = list(rows)
    columns = list(zip(*listed, strict=True)) if listed else [[] for _ in ARROW]
    arrays = [pa.array(list(c), f.type) for c, f in zip(columns, ARROW, strict=True)]
    return pa.Table.from_arrays(arrays, schema=ARROW)


@asynccontextmanager
async def opened(line: Line) -> AsyncIterator[Target]:
    async with open_target("standin", line.config) as target:
        yield target


def ssh_of(target: Target) -> Any:
    """The SSH connection that the target's sessions go through."""
    (bastion,) = target.dial.bastions._known.values()
    assert bastion.ssh is not None
    return bastion.ssh._connection


async def loaded(line: Line, *orders: Order) -> LedgerHead:
    async with opened(line) as target:
        heads = [await load(target, [order], TERMS) for order in orders]
    return heads[-1]


@asynccontextmanager
async def turned(line: Line, **knobs: str) -> AsyncIterator[None]:
    """Knobs of the whole stand-in, turned back at the end."""
    await line.box.redshift.turn(**knobs)
    try:
        yield
    finally:
        await line.box.redshift.turn(**dict.fromkeys(knobs))
