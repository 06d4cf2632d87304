"""S3 as COPY sees it: a key prefix or a manifest becomes a list of objects (rules 6 to 10).

Listing and manifests go through the SDK, for only that keeps a key with `//` apart from one with
`/`; the files themselves are read by Arrow, in ranges, off the loop. What the S3 server answers is
told as the leader tells it: status, code and the server's words, never a header.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pyarrow as pa
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError
from pyarrow import fs

from ..faults import RedshiftError, Report, Spot
from ..knobs import standing
from ..rules import holds
from .credentials import Credentials, StoreAccess, admit
from .manifest import Entry, read_manifest, unreadable
from .scan import leader_error, not_found

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client

__all__ = ["Store", "StoreAccess", "open_store"]

_MISSING = ("404", "NoSuchKey", "NoSuchBucket")
_ELSEWHERE = (
    "S3ServiceException:The bucket you are attempting to access must be addressed using the "
    "specified endpoint. Please send all future requests to this endpoint.,Status 301,"
    "Error PermanentRedirect,Rid 0,CanRetry 1"
)


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key if holds("9i") else key.replace("//", "/")


def _context(source: str) -> str:
    bucket, prefix = _split(source)
    return f"Listing bucket={bucket} prefix={prefix}"


def _said(error: ClientError) -> str:
    """What S3 answered, as the leader tells it."""
    told = error.response["Error"]
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    message, code = told.get("Message", ""), told.get("Code", "")
    return f"S3ServiceException:{message},Status {status},Error {code},Rid 0,CanRetry 1"


def _hidden(key: str) -> bool:
    return holds("10") and key.rpartition("/")[2].startswith((".", "_"))


def _within(key: str, prefix: str) -> bool:
    """Whether a listed key is meant; without rule 7 a prefix is a folder or one key."""
    if holds("7") or prefix.endswith("/"):
        return True
    return key == prefix or key.startswith(f"{prefix}/")


class Store:
    """The private S3 server."""

    def __init__(self, client: S3Client, access: StoreAccess) -> None:
        self._client = client
        self._access = access
        self._loop = asyncio.get_running_loop()
        self.region = access.region
        parts = urlsplit(access.endpoint)
        self._files = fs.S3FileSystem(
            endpoint_override=parts.netloc,
            scheme=parts.scheme,
            access_key=access.key_id,
            secret_key=access.secret,
            region=access.region,
        )

    def admit(self, given: Credentials, source: str) -> None:
        """Take a role or keys, as COPY does before it lists anything (rule 5)."""
        admit(given, self._access, _context(source))

    async def files(self, source: str, *, manifest: bool) -> list[str]:
        """The objects that a COPY loads, in the order it reads them."""
        try:
            if manifest and holds("9"):
                return await self._listed(source)
            return await self._prefixed(source)
        except BotoCoreError as error:
            message = f"S3ServiceException:{error}"
            raise leader_error("7a", message, 8001, "s3_utility.cpp:652") from error

    async def _near(self, bucket: str) -> None:
        """Rule 6: S3 answers for a bucket of another region with a redirect."""
        answer = await self._client.get_bucket_location(Bucket=bucket)
        region = answer.get("LocationConstraint") or "us-east-1"
        if region != self.region and holds("6"):
            raise leader_error("6", _ELSEWHERE, 8001, "s3_utility.cpp:540", f"bucket={bucket}")

    async def _prefixed(self, source: str) -> list[str]:
        bucket, prefix = _split(source)
        try:
            await self._near(bucket)
            found = await self._under(bucket, prefix)
        except ClientError as error:
            if holds("7a"):
                where, context = "s3_utility.cpp:540", _context(source)
                raise leader_error("7a", _said(error), 8001, where, context) from error
            found = []
        if not found and holds("8") and standing("empty_prefix") == "error":
            message = f"The specified S3 prefix '{prefix}' does not exist"
            raise leader_error("8", message, 8001, "s3_utility.cpp:652")
        return found

    async def _under(self, bucket: str, prefix: str) -> list[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [
            f"s3://{bucket}/{entry['Key']}"
            async for page in pages
            for entry in page.get("Contents", [])
            if (entry["Size"] or not holds("10a"))
            and not _hidden(entry["Key"])
            and _within(entry["Key"], prefix)
        ]

    async def _listed(self, source: str) -> list[str]:
        bucket, key = _split(source)
        try:
            await self._near(bucket)
            answer = await self._client.get_object(Bucket=bucket, Key=key)
            async with answer["Body"] as body:
                entries = read_manifest(await body.read())
        except ClientError as error:
            if not holds("9g"):
                return []
            raise unreadable("9g", _said(error)) from error
        placed, near = [(entry, self._place(entry, bucket)) for entry in entries], {bucket}
        found = [uri for entry, uri in placed if await self._present(entry, uri, near)]
        if not found and holds("9e"):
            raise not_found("9e", source)
        return found if holds("9f") else _once(found)

    def _place(self, entry: Entry, bucket: str) -> str:
        """Where an entry lies: in any bucket of the region; without rule 9k in the manifest's."""
        own, key = _split(entry.uri)
        return f"s3://{own if holds('9k') else bucket}/{key}"

    async def _present(self, entry: Entry, uri: str, near: set[str]) -> bool:
        """Whether an entry's file is there; `near` are the buckets known to be in the region."""
        bucket, key = _split(uri)
        try:
            if bucket not in near:
                await self._near(bucket)
                near.add(bucket)
            head = await self._client.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            missing = error.response["Error"].get("Code") in _MISSING
            if missing and not (entry.mandatory and holds("9c")):
                return False
            raise not_found("9c", uri) from error
        size = head["ContentLength"]
        if entry.size not in (None, size) and holds("9a"):
            report = Report(15001, f"File size differs from the manifest: {uri}")
            raise RedshiftError("Spectrum Scan Error", rule="9a", report=report, spot=Spot(uri))
        return True

    async def _whole(self, bucket: str, key: str) -> bytes:
        """An object whose key Arrow takes for no path, for it has a part without a name."""
        try:
            answer = await self._client.get_object(Bucket=bucket, Key=key)
        except ClientError as error:
            raise not_found("9c", f"s3://{bucket}/{key}") from error
        async with answer["Body"] as body:
            return await body.read()

    def open(self, uri: str) -> pa.NativeFile:
        """An object for reading by ranges; it blocks, and is called in threads only."""
        bucket, key = _split(uri)
        if "//" in f"/{key}/":
            fetched = asyncio.run_coroutine_threadsafe(self._whole(bucket, key), self._loop)
            return pa.BufferReader(fetched.result())
        try:
            return self._files.open_input_file(f"{bucket}/{key}")
        except FileNotFoundError as error:
            raise not_found("9c", uri) from error


def _once(found: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(found))


@asynccontextmanager
async def open_store(access: StoreAccess) -> AsyncIterator[Store]:
    """The store, with its SDK client."""
    client = get_session().create_client(
        "s3",
        endpoint_url=access.endpoint,
        region_name=access.region,
        aws_access_key_id=access.key_id,
        aws_secret_access_key=access.secret,
        aws_session_token=access.token or None,
        config=AioConfig(s3={"addressing_style": "path"}, proxies={}),
    )
    async with client as sdk:
        yield Store(sdk, access)
