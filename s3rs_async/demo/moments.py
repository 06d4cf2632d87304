"""When to kill: while parts of a file are going up, and while Redshift is loading."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import asyncpg
from aiobotocore.session import get_session

Moment = Callable[[], Awaitable[bool]]


@asynccontextmanager
async def mid_upload(environment: Mapping[str, str]) -> AsyncIterator[Moment]:
    """A multipart upload is open that was not there before."""
    client = get_session().create_client(
        "s3",
        endpoint_url=environment["S3RS_SANDBOX_S3_URL"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
    async with client as s3:

        async def uploads() -> set[str]:
            found = await s3.list_multipart_uploads(Bucket=environment["S3RS_SANDBOX_BUCKET"])
            return {upload["UploadId"] for upload in found.get("Uploads", [])}

        before = await uploads()

        async def come() -> bool:
            return bool(await uploads() - before)

        yield come


@asynccontextmanager
async def mid_load(environment: Mapping[str, str]) -> AsyncIterator[Moment]:
    """Another session holds a lock on a ledger's head: its transaction is under way."""
    looking = await asyncpg.connect(environment["S3RS_SANDBOX_REDSHIFT_URL"])

    async def come() -> bool:
        held = await looking.fetchval(
            "SELECT count(*) FROM svv_transactions WHERE lock_mode = 'AccessExclusiveLock'"
            " AND pid <> pg_backend_pid()"
        )
        return bool(held)

    try:
        yield come
    finally:
        await looking.close()
