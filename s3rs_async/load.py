"""What waits in S3 for one table, brought into Redshift: steps Y1 to Y12 of the commit protocol.

The state says what waits, the ledger says what is in. A batch is described by its own `batch.json`
alone, whatever the table looks like today.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from .commit import LedgerHead, Pending
from .line import Line
from .model import Column, TableSpec
from .redshift import ledger, loader, schema
from .redshift.connection import Session
from .report import Meter
from .s3 import manifest as manifests
from .s3.layout import copy_manifest_of
from .s3.position import write_position

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Loading:
    """One table's loads."""

    line: Line
    spec: TableSpec
    meter: Meter

    async def head(self) -> LedgerHead | None:
        """The ledger's head as it is now; None where nothing was ever loaded."""
        async with self.line.target.session() as session:
            return await ledger.read_head(session, self.line.target_id(self.spec))

    async def check_columns(self, session: Session, columns: tuple[Column, ...]) -> None:
        """Raise unless the target, where there is one, can take these columns."""
        target = self.line.target_id(self.spec)
        live = await schema.read_columns(session, target.table)
        if live is not None:
            schema.check(target, columns, live)

    async def load(self, pending: Pending) -> LedgerHead:
        """Load one batch, or find that it is loaded; the ledger's head as it is then."""
        line = self.line
        manifest = await manifests.read(line.stage, pending.manifest, pending.sha256)
        async with line.target.session() as session:
            await self.check_columns(session, manifest.columns)
        copy = f"s3://{line.stage.bucket}/{copy_manifest_of(pending.manifest)}"
        order = loader.Order(
            manifest,
            pending.sha256,
            write_position(manifest.after),
            copy if manifest.parts else None,
        )
        terms = loader.LoadTerms(line.run, line.claim.writer, keys=self.spec.keys)
        head = await loader.load(line.target, order, terms)
        self.meter.rows_loaded += manifest.rows
        log.info(
            "batch loaded",
            table=str(self.spec.table),
            batch=manifest.batch,
            seq=manifest.seq,
            mode=manifest.mode,
            rows=manifest.rows,
            target_rows=head.rows_total,
        )
        return head
