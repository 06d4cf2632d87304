"""A loader killed with SIGKILL in the middle of COPY: nothing is loaded and nobody is blocked."""

from __future__ import annotations

import asyncio
import io
import json
import pickle
import subprocess
import sys
import textwrap
import urllib.request
from typing import TYPE_CHECKING

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
)
from s3rs_async.redshift.connection import open_target
from s3rs_async.redshift.enter import Order
from s3rs_async.redshift.loader import LoadTerms, load

if TYPE_CHECKING:
    from s3rs_async.sandbox import Box

ROWS = 400_000
COLUMNS = (
    Column("id", "bigint", "int64", nullable=False, redshift="BIGINT"),
    Column("note", "varchar(9)", "string", nullable=True, octets=36, redshift="VARCHAR(36)"),
)

VICTIM = textwrap.dedent(
    """
    import asyncio, json, pickle, sys
    from s3rs_async.config import TargetConfig
    from s3rs_async.redshift.connection import Session, open_target
    from s3rs_async.redshift.loader import LoadTerms, load

    asked = json.loads(sys.stdin.readline())
    order = pickle.loads(bytes.fromhex(asked["order"]))
    original = Session.execute

    async def execute(self, statement, *args, **more):
        if statement.startswith("COPY"):
            asyncio.get_running_loop().call_later(0.1, print, "copying", self.backend_pid)
        return await original(self, statement, *args, **more)

    Session.execute = execute

    async def main():
        async with open_target("standin", TargetConfig.model_validate(asked["config"])) as target:
            await load(target, [order], LoadTerms("run", "victim"))
        print("loaded")

    asyncio.run(main())
    """
)


def _put(box: Box, key: str, content: bytes) -> str:
    request = urllib.request.Request(
        f"{box.s3.url}/{box.s3.bucket}/{key}",
        data=content,
        method="PUT",
        headers={"Content-Type": "application/octet-stream"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return str(answer.headers["ETag"])


def _order(box: Box, prefix: str, schema: str) -> Order:
    buffer = io.BytesIO()
    arrow = pa.schema([pa.field("id", pa.int64(), nullable=False), pa.field("note", pa.string())])
    rows = {"id": pa.array(range(ROWS), pa.int64()), "note": pa.array(["note"] * ROWS)}
    pq.write_table(pa.table(rows, schema=arrow), buffer)
    key, content = f"{prefix}/part-00000.parquet", buffer.getvalue()
    part = Part(key, len(content), _put(box, key, content), ROWS)
    entry = {
        "url": f"s3://{box.s3.bucket}/{key}",
        "mandatory": True,
        "meta": {"content_length": part.size},
    }
    _put(box, f"{prefix}/copy.manifest", json.dumps({"entries": [entry]}).encode())
    manifest = Manifest(
        pipeline="shop",
        source=SourceId("shop_mysql", "server", TableName("shop", "orders")),
        target=TargetId("standin", box.redshift.database, TableName(schema, "orders")),
        columns=COLUMNS,
        merge_key=(),
        cursor=None,
        generation=1,
        epoch=1,
        seq=1,
        batch=ulid(),
        parent="",
        before=None,
        after=None,
        bound=Bound(None, Proof.NONE, "2026-01-01T00:00:00+00:00"),
        mode=Mode.APPEND,
        moves_watermark=True,
        parts=(part,),
        session="session",
        extracted_at="2026-01-01T00:00:00+00:00",
    )
    return Order(manifest, "0" * 64, "", f"s3://{box.s3.bucket}/{prefix}/copy.manifest")


def _killed_in_mid_copy(config: object, order: Order) -> None:
    asked = {"config": config, "order": pickle.dumps(order).hex()}
    with subprocess.Popen(
        [sys.executable, "-u", "-c", VICTIM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as victim:
        assert victim.stdin is not None
        assert victim.stdout is not None
        victim.stdin.write(json.dumps(asked) + "\n")
        victim.stdin.flush()
        told = next(line for line in victim.stdout if not line.startswith("20"))
        victim.kill()
        assert told.startswith("copying")
        assert "loaded" not in victim.stdout.read()


async def test_a_loader_killed_in_mid_copy_leaves_nothing_and_blocks_nobody(
    box: Box, prefix: str, schema: str
) -> None:
    config = box.connections["targets"]["standin"]
    order = _order(box, prefix, schema)
    await asyncio.to_thread(_killed_in_mid_copy, config, order)
    counted = f"SELECT count(*) FROM {schema}.orders".encode()
    with psycopg.connect(box.redshift.url, autocommit=True) as outside:
        assert outside.execute(counted).fetchall() == [(0,)]
        async with open_target("standin", TargetConfig.model_validate(config)) as target:
            head = await load(target, [order], LoadTerms("run", "heir", ghost_timeout=30.0))
        assert head.rows_total == ROWS
        assert outside.execute(counted).fetchall() == [(ROWS,)]
