"""COPY, proved for real: one row goes the way that every batch goes, and is rolled back.

A role can be refused by the cluster (it is not associated, or does not trust Redshift), and then by
the bucket (its policy). Nothing but a COPY tells; Redshift says all of it with one SQLSTATE, so its
words are read. The two objects are named by their content: whoever writes them writes the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from typing import Final

import pyarrow as pa

from .. import clock
from ..config import S3Config, TargetConfig
from ..errors import DataError
from ..model import Column
from ..parquet import Form, ParquetFile
from ..redshift import sql
from ..redshift.connection import Target
from ..s3.layout import root
from ..s3.store import open_store
from .check import Sheet

COPY_SECONDS: Final = 60.0
_COLUMNS: Final = (Column("one", "int", "int32", nullable=True, redshift="INTEGER"),)
_ROLE: Final = re.compile(
    r"not authorized to (assume|get credentials)|IAM role is empty|no default", re.IGNORECASE
)
_BUCKET: Final = re.compile(r"access ?denied|forbidden|\b403\b", re.IGNORECASE)


async def prove_copy(target: Target, stage: S3Config, sheet: Sheet) -> None:
    """Put one row, copy it with the configured role, count it, roll back."""
    manifest = await _put(stage)
    try:
        copied = await _copied(target, manifest)
    except DataError as error:
        sheet.error("copy", error, _mend(error, target.config, stage))
        return
    if copied == 1:
        sheet.ok("copy", f"a row from s3://{stage.bucket} by {target.config.iam_role}")
    else:
        sheet.fail("copy", f"{copied} rows were copied instead of 1", f"look at {manifest}")


async def _put(stage: S3Config) -> str:
    """The row and its manifest in the bucket; the manifest's address."""
    row = await asyncio.to_thread(_row)
    folder = f"{root(stage.prefix)}_doctor/{hashlib.sha256(row).hexdigest()[:16]}"
    url = f"s3://{stage.bucket}/{folder}/one-row.parquet"
    entry = {"url": url, "mandatory": True, "meta": {"content_length": len(row)}}
    async with open_store(stage) as store:
        await store.put(f"{folder}/one-row.parquet", row)
        await store.put(f"{folder}/copy.manifest", json.dumps({"entries": [entry]}).encode())
    return f"s3://{stage.bucket}/{folder}/copy.manifest"


def _row() -> bytes:
    batch = pa.RecordBatch.from_pydict({"one": pa.array([1], pa.int32())})
    file = ParquetFile(batch.schema, Form())
    file.write([batch])
    file.finish()
    return b"".join(file.rest())


async def _copied(target: Target, manifest: str) -> int:
    batch = clock.ulid()
    copy = sql.copy(batch, _COLUMNS, manifest, target.config.iam_role)
    async with target.session() as session:
        await session.execute(sql.set_statement_timeout(COPY_SECONDS))
        async with session.transaction():
            await session.execute(sql.create_stage(batch, _COLUMNS))
            await session.execute(copy, timeout=COPY_SECONDS)
            copied = int(await session.value(sql.LAST_COPY_COUNT))
            await session.rollback()
    return copied


def _mend(error: DataError, config: TargetConfig, stage: S3Config) -> str:
    said = str(error)
    if _ROLE.search(said):
        return (
            f"let {config.iam_role} trust redshift.amazonaws.com, and associate it: aws redshift"
            f" modify-cluster-iam-roles --cluster-identifier … --add-iam-roles {config.iam_role}"
        )
    objects = f"arn:aws:s3:::{stage.bucket}/{root(stage.prefix)}*"
    if _BUCKET.search(said):
        return f"grant the role s3:GetObject on {objects} and s3:ListBucket on {stage.bucket}"
    return f"see that the cluster reads {objects}: role, region, network"
