"""Where checks run: the stand-in or a real cluster, a schema and a folder in S3 of their own."""

from __future__ import annotations

import asyncio
import io
import json
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import asyncpg
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

SECONDS = 30.0  # for one check


@dataclass(frozen=True)
class Place:
    """A cluster with a bucket that it reads."""

    login: dict[str, Any] = field(repr=False)
    s3: Any = field(repr=False)
    bucket: str
    folder: str
    role: str
    real: bool = False
    seconds: float = SECONDS


@dataclass
class Site:
    """What a check works with; `con` is its first connection, in autocommit."""

    place: Place
    schema: str
    off: str = ""
    con: Any = None
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def connect(self, **options: Any) -> Any:
        """One more connection; it is closed when the check ends. `settings` are start-up ones."""
        settings = {"search_path": self.schema, **options.pop("settings", {})}
        if self.off:
            settings.setdefault("s3rs_standin.off", self.off)
        given = {**self.place.login, "statement_cache_size": 0, **options}
        connection = await asyncpg.connect(server_settings=settings, **given)
        self.stack.callback(connection.terminate)
        return connection

    def key(self, name: str) -> str:
        """A name in the check's folder as a key of the bucket."""
        return f"{self.place.folder}/{self.schema}/{name}"

    def uri(self, name: str) -> str:
        """A name in the check's folder as COPY takes it."""
        return f"s3://{self.place.bucket}/{self.key(name)}"

    def put(self, name: str, content: Any, **options: Any) -> int:
        """Store an object, an Arrow table as Parquet; gives its size."""
        body = content.encode() if isinstance(content, str) else content
        if isinstance(content, pa.Table):
            buffer = io.BytesIO()
            pq.write_table(content, buffer, **options)
            body = buffer.getvalue()
        self.place.s3.put_object(Bucket=self.place.bucket, Key=self.key(name), Body=body)
        return len(body)

    def manifest(self, name: str, *entries: dict[str, Any]) -> None:
        """Store a manifest."""
        self.put(name, json.dumps({"entries": list(entries)}))

    def entry(self, name: str, size: int, *, mandatory: bool = True) -> dict[str, Any]:
        """A manifest's entry."""
        return {"url": self.uri(name), "mandatory": mandatory, "meta": {"content_length": size}}

    def copy(self, name: str, target: str = "t", more: str = "") -> str:
        """A COPY of what the check's folder has under a name."""
        role = f"IAM_ROLE '{self.place.role}'"
        return f"COPY {target} FROM '{self.uri(name)}' {role} FORMAT AS PARQUET {more}"

    async def run(self, *statements: str) -> None:
        """Run statements on the first connection, one by one."""
        for statement in statements:
            await self.con.execute(statement)

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What a query on the first connection gives."""
        return [tuple(row) for row in await self.con.fetch(sql)]

    async def fails(self, what: str | Awaitable[Any]) -> Any:
        """The error of a statement that must not pass."""
        try:
            await (self.con.execute(what) if isinstance(what, str) else what)
        except asyncpg.PostgresError as error:
            return error
        message = f"it was accepted: {what}"
        raise AssertionError(message)


@asynccontextmanager
async def open_site(place: Place, schema: str, off: str = "") -> AsyncIterator[Site]:
    """A site with a schema of its own, dropped at the end."""
    owner = await asyncpg.connect(**place.login, statement_cache_size=0)
    try:
        await owner.execute(f"CREATE SCHEMA {schema}")
        site = Site(place, schema, off)
        try:
            async with site.stack, asyncio.timeout(place.seconds):
                site.con = await site.connect()
                yield site
        finally:
            await owner.execute(f"DROP SCHEMA {schema} CASCADE")
    finally:
        owner.terminate()
