"""A table's state as it lies in the bucket, read and written by the program's own codec.

So a test can put a table where only time or an operator would bring it: stopped, full, set back.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from s3rs_async import clock
from s3rs_async.model import TableName
from s3rs_async.s3.layout import Layout
from s3rs_async.s3.state import Document, decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3rs_async.commit import State
    from tests.acceptance.cli import Cli

ADHOC = "adhoc.mysql.standin"


def layout(cli: Cli, table: str, pipeline: str = ADHOC) -> Layout:
    """Where a table of this test's database lies."""
    return Layout(cli.prefix, pipeline, "mysql", TableName(cli.database, table))


def read_state(cli: Cli, table: str, pipeline: str = ADHOC) -> State:
    """The table's state."""
    return _document(cli, layout(cli, table, pipeline)).state


def edit_state(
    cli: Cli, table: str, change: Callable[[State], State], pipeline: str = ADHOC
) -> State:
    """Write another state over it, as an operator's command would: version and epoch go on."""
    at = layout(cli, table, pipeline)
    before = _document(cli, at)
    after = change(before.state)
    after = replace(after, epoch=after.epoch + 1)
    body = encode(Document(after, before.version + 1, clock.ulid()), at)
    cli._store.put_object(Bucket=cli.box.s3.bucket, Key=at.state, Body=body)
    return after


def batches(cli: Cli, table: str) -> list[str]:
    """The keys of the descriptions of all batches, whether a state names them or not."""
    own = re.compile(rf".*/{table}\.[0-9a-f]+/data/.*/batch\.json")
    return sorted(filter(own.fullmatch, cli.objects()))


def _document(cli: Cli, at: Layout) -> Document:
    return decode(cli.body(at.state).encode(), at)
