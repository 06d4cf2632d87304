"""One bucket: get, put, put on a condition, copy, list, upload, delete. The driver's only door.

Two clients, because a retried conditional write is a trap: when the first one was carried out and
its answer lost, the second is answered 412 and the winner believes it lost. So conditional requests
go through a client that sends each of them once, and whoever sends them resolves doubt by reading.
Everything else may be repeated and is (standard mode, five attempts).

Over https each body carries a CRC32 and the payload is not hashed for the signature; over plain
http the payload is signed instead, but for a server on this machine.

Deleting and aborting are for s3clean alone, which knows what may go; a right that it lacks is told
by its name. What was asked of the store and when it answered come from one answer: an object's age
is its LastModified against the Date of the listing that it stands in, both by the store's clock.
"""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from ..errors import ConfigError, UnavailableError
from .failure import Place, translated
from .object import Entry, MissingError, OpenUpload, Page, Stat, Stored, Undeleted
from .upload import Upload, stat

if TYPE_CHECKING:
    import datetime as dt

    from pydantic import SecretStr
    from types_aiobotocore_s3 import S3Client

    from ..config import S3Config

_CONNECT_SECONDS = 5
_READ_SECONDS = 60
_CONNECTIONS = 32
_ATTEMPTS = 5
_DELETES = 1000
_FORBIDDEN = 403


class Store:
    """One bucket of an S3-compatible store."""

    def __init__(self, data: S3Client, once: S3Client, place: Place) -> None:
        self._data = data
        self._once = once
        self._place = place

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self._place.bucket

    async def get(self, key: str) -> Stored | None:
        """An object's body and its ETag, from one answer; None when there is none."""
        try:
            with translated(self._place, key):
                answer = await self._data.get_object(Bucket=self.bucket, Key=key)
                async with answer["Body"] as stream:
                    return Stored(await stream.read(), answer["ETag"])
        except MissingError:
            return None

    async def head(self, key: str) -> Stat | None:
        """An object without its body; None when there is none."""
        return await stat(self._data, self._place, key)

    async def put(self, key: str, body: bytes) -> str:
        """Write, whatever is there; the new ETag."""
        with translated(self._place, key):
            answer = await self._data.put_object(Bucket=self.bucket, Key=key, Body=body)
            return answer["ETag"]

    async def put_if(self, key: str, body: bytes, etag: str | None) -> str:
        """Write once if the object still has this ETag (None: if there is none); the new ETag.

        Raises StaleError (412), BusyError (409), MissingError (404 for an ETag) when nothing was
        written, and UnknownOutcomeError when only reading can tell.
        """
        condition: Any = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        with translated(self._place, key, once=True):
            answer = await self._once.put_object(
                Bucket=self.bucket, Key=key, Body=body, **condition
            )
            return answer["ETag"]

    async def copy(self, source: str, key: str, etag: str) -> str:
        """A copy of an object that still has this ETag (else StaleError); the copy's ETag."""
        with translated(self._place, source):
            answer = await self._data.copy_object(
                Bucket=self.bucket,
                Key=key,
                CopySource={"Bucket": self.bucket, "Key": source},
                CopySourceIfMatch=etag,
            )
            return answer["CopyObjectResult"]["ETag"]

    async def list(self, prefix: str) -> AsyncGenerator[Entry, None]:
        """Every object whose key begins so, in the order of keys, a page at a time."""
        async for page in self.pages(prefix):
            for entry in page.entries:
                yield entry

    async def pages(self, prefix: str) -> AsyncGenerator[Page, None]:
        """The same, page by page, each with the moment at which the store gave it."""
        pages = self._data.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix
        )
        with translated(self._place, prefix):
            async for page in pages:
                entries = tuple(
                    Entry(line["Key"], line["Size"], line["ETag"], line["LastModified"])
                    for line in page.get("Contents", [])
                )
                yield Page(entries, self._date(page))

    async def open_uploads(self, prefix: str) -> AsyncGenerator[OpenUpload, None]:
        """Every multipart upload under way, or left behind, whose key begins so."""
        pages = self._data.get_paginator("list_multipart_uploads").paginate(
            Bucket=self.bucket, Prefix=prefix
        )
        with self._allowed("s3:ListBucketMultipartUploads"), translated(self._place, prefix):
            async for page in pages:
                date = self._date(page)
                for line in page.get("Uploads", []):
                    yield OpenUpload(line["Key"], line["UploadId"], line["Initiated"], date)

    async def delete(self, keys: Sequence[str]) -> Sequence[Undeleted]:
        """Delete up to 1000 objects by one request; those that are still there, with the reason.

        A key that has no object counts as deleted.
        """
        if len(keys) > _DELETES:
            raise ValueError(f"{len(keys)} keys for one request")
        objects: Any = [{"Key": key} for key in keys]
        with self._allowed("s3:DeleteObject"), translated(self._place, None):
            answer = await self._data.delete_objects(
                Bucket=self.bucket, Delete={"Objects": objects, "Quiet": True}
            )
        failed = [
            Undeleted(line.get("Key", ""), line.get("Code", ""))
            for line in answer.get("Errors", [])
        ]
        if any(each.code == "AccessDenied" for each in failed):
            raise self._lacks("s3:DeleteObject")
        return failed

    async def abort(self, key: str, upload_id: str) -> None:
        """Take an open upload back, whoever began it; nothing where it has ended."""
        with self._allowed("s3:AbortMultipartUpload"):
            try:
                with translated(self._place, key):
                    await self._data.abort_multipart_upload(
                        Bucket=self.bucket, Key=key, UploadId=upload_id
                    )
            except MissingError:
                return

    async def clock(self) -> dt.datetime:
        """What the store's clock shows, to the second; UnavailableError where it does not say."""
        with translated(self._place, None):
            answer = await self._data.head_bucket(Bucket=self.bucket)
        return self._date(answer)

    def _date(self, answer: Mapping[str, Any]) -> dt.datetime:
        """When the store gave an answer, by its own clock."""
        said = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
        try:
            return parsedate_to_datetime(said)
        except ValueError as reason:
            raise UnavailableError(
                "the store does not tell its time", where="s3", endpoint=self._place.endpoint
            ) from reason

    @contextmanager
    def _allowed(self, right: str) -> Iterator[None]:
        """Name the right that is missing where the store says no."""
        try:
            yield
        except ConfigError as refused:
            if refused.context.get("status") != _FORBIDDEN:
                raise
            raise self._lacks(right) from refused

    def _lacks(self, right: str) -> ConfigError:
        facts: Any = self._place.facts(None)
        return ConfigError(
            "the store does not allow it",
            right=right,
            hint=f"grant {right} on the bucket to whoever runs s3clean",
            **facts,
        )

    async def keeps_versions(self) -> bool:
        """Whether an object that is overwritten or deleted can be brought back."""
        with translated(self._place, None):
            answer = await self._data.get_bucket_versioning(Bucket=self.bucket)
        return answer.get("Status") == "Enabled"

    async def folders(self, prefix: str) -> AsyncIterator[str]:
        """The folders directly under a folder, each with its closing slash."""
        pages = self._data.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix, Delimiter="/"
        )
        with translated(self._place, prefix):
            async for page in pages:
                for line in page.get("CommonPrefixes", []):
                    yield line["Prefix"]

    @asynccontextmanager
    async def upload(self, key: str) -> AsyncIterator[Upload]:
        """A multipart upload; aborted unless it was completed in the block."""
        upload = Upload(self._data, self._once, self._place, key)
        await upload.begin()
        try:
            yield upload
        finally:
            await upload.close()


@asynccontextmanager
async def open_store(config: S3Config) -> AsyncIterator[Store]:
    """The configured bucket. Nothing is asked of it before the first call."""
    place = Place(config.bucket, config.endpoint or "Amazon S3", config.region)
    session = get_session()
    common: Any = {
        "region_name": config.region,
        "endpoint_url": config.endpoint,
        "aws_access_key_id": _text(config.access_key),
        "aws_secret_access_key": _text(config.secret_key),
    }
    async with AsyncExitStack() as stack:
        with translated(place, None), _addressed(place):
            data = await stack.enter_async_context(
                session.create_client("s3", config=_settings(config, _ATTEMPTS), **common)
            )
            once = await stack.enter_async_context(
                session.create_client("s3", config=_settings(config, 1), **common)
            )
        yield Store(data, once, place)


@contextmanager
def _addressed(place: Place) -> Iterator[None]:
    try:
        yield
    except ValueError as reason:
        raise ConfigError(
            "not an address of a store",
            where="s3",
            endpoint=place.endpoint,
            hint="write s3.endpoint as https://host:port, or leave it out for Amazon S3",
        ) from reason


def _settings(config: S3Config, attempts: int) -> AioConfig:
    plain = config.endpoint is not None and not config.endpoint.startswith("https:")
    checksums: Any = "when_required" if plain else "when_supported"
    return AioConfig(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        max_pool_connections=_CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": attempts},
        request_checksum_calculation=checksums,
        response_checksum_validation=checksums,
        s3={
            "addressing_style": "path" if config.endpoint else "auto",
            "payload_signing_enabled": plain and not _is_here(config.endpoint or ""),
        },
    )


def _is_here(endpoint: str) -> bool:
    host = urlsplit(endpoint).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _text(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None
