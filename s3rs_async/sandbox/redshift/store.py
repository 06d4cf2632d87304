"""S3 as COPY sees it: a key prefix or a manifest becomes a list of objects (rules 7 to 10).

Listing and manifests go through the SDK, for only that keeps a key with `//` apart from one with
`/`; the files themselves are read by Arrow, in ranges, off the loop.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError
from pyarrow import fs

from .faults import RedshiftError, Report, Spot
from .scan import leader_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pyarrow as pa
    from types_aiobotocore_s3.client import S3Client

_MISSING = ("404", "NoSuchKey", "NoSuchBucket")


@dataclass(frozen=True, slots=True)
class StoreAccess:
    """How to reach the private S3 server, and the roles a COPY may take for it; none: any."""

    endpoint: str
    region: str
    key_id: str = field(repr=False)
    secret: str = field(repr=False)
    roles: frozenset[str] = frozenset()


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def _bad_manifest(
    reason: str, code: int = 8001, where: str = "s3_utility.cpp:321"
) -> RedshiftError:
    return leader_error("9", reason, code, where)


def _not_found(uri: str) -> RedshiftError:
    report = Report(15001, f"File not found: {uri}")
    message = "Spectrum Scan Error: File not found"
    return RedshiftError(message, rule="9", report=report, spot=Spot(uri))


def _entries(body: bytes) -> list[dict[str, Any]]:
    try:
        entries = list(orjson.loads(body)["entries"])
        for entry in entries:
            entry["url"].removeprefix("s3://")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise _bad_manifest("Problem reading manifest file - invalid manifest") from error
    for entry in entries:
        if "content_length" not in entry.get("meta", {}):
            message = "File entry does not have 'meta' key."
            raise _bad_manifest(message, 15003, "spectrum_manifest.cpp:204")
    return entries


class Store:
    """The private S3 server."""

    def __init__(self, client: S3Client, access: StoreAccess) -> None:
        self._client = client
        self.region = access.region
        self._roles = access.roles
        parts = urlsplit(access.endpoint)
        self._files = fs.S3FileSystem(
            endpoint_override=parts.netloc,
            scheme=parts.scheme,
            access_key=access.key_id,
            secret_key=access.secret,
            region=access.region,
        )

    def assume(self, role: str) -> None:
        """Take a role on, as COPY does before it lists anything (rule 5a)."""
        if role and self._roles and role not in self._roles:
            message = f"User is not authorized to assume IAM Role {role}"
            raise leader_error("5a", message, 8001, "xen_aws_credentials_mgr.cpp:402")

    async def files(self, source: str, *, manifest: bool) -> list[str]:
        """The objects that a COPY loads, in the order it reads them."""
        try:
            return await (self._listed(source) if manifest else self._prefixed(source))
        except BotoCoreError as error:
            message = f"S3ServiceException:{error}"
            raise leader_error("8", message, 8001, "s3_utility.cpp:652") from error

    async def _prefixed(self, source: str) -> list[str]:
        bucket, prefix = _split(source)
        found: list[str] = []
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        try:
            async for page in pages:
                for entry in page.get("Contents", []):
                    last = entry["Key"].rpartition("/")[2]
                    if entry["Size"] and not last.startswith((".", "_")):
                        found.append(f"s3://{bucket}/{entry['Key']}")
        except ClientError as error:
            message = f"S3ServiceException:{error.response['Error'].get('Message', '')}"
            raise leader_error("8", message, 8001, "s3_utility.cpp:652") from error
        if not found:
            message = f"The specified S3 prefix '{prefix}' does not exist"
            raise leader_error("8", message, 8001, "s3_utility.cpp:652")
        return found

    async def _listed(self, source: str) -> list[str]:
        bucket, key = _split(source)
        try:
            answer = await self._client.get_object(Bucket=bucket, Key=key)
            async with answer["Body"] as body:
                entries = _entries(await body.read())
        except ClientError as error:
            reason = "S3ServiceException:The specified key does not exist.,Status 404"
            raise _bad_manifest(f"Problem reading manifest file - {reason}") from error
        found = [entry["url"] for entry in entries if await self._present(entry)]
        if not found:
            raise _not_found(source)
        return found

    async def _present(self, entry: dict[str, Any]) -> bool:
        uri = entry["url"]
        bucket, key = _split(uri)
        try:
            head = await self._client.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["Error"].get("Code") not in _MISSING:
                raise _not_found(uri) from error
            if entry.get("mandatory"):
                raise _not_found(uri) from error
            return False
        if head["ContentLength"] != entry["meta"]["content_length"]:
            report = Report(15001, f"File size differs from the manifest: {uri}")
            raise RedshiftError("Spectrum Scan Error", rule="9a", report=report, spot=Spot(uri))
        return True

    def open(self, uri: str) -> pa.NativeFile:
        """An object for reading by ranges; it blocks."""
        try:
            return self._files.open_input_file(uri.removeprefix("s3://"))
        except OSError as error:
            raise _not_found(uri) from error


@asynccontextmanager
async def open_store(access: StoreAccess) -> AsyncIterator[Store]:
    """The store, with its SDK client."""
    client = get_session().create_client(
        "s3",
        endpoint_url=access.endpoint,
        region_name=access.region,
        aws_access_key_id=access.key_id,
        aws_secret_access_key=access.secret,
        config=AioConfig(s3={"addressing_style": "path"}, proxies={}),
    )
    async with client as sdk:
        yield Store(sdk, access)
