"""One bucket: get, put, put on a condition, list, upload. The driver's only door.

Two clients, because a retried conditional write is a trap: when the first one was carried out and
its answer lost, the second is answered 412 and the winner believes it lost. So conditional requests
go through a client that sends each of them once, and whoever sends them resolves doubt by reading.
Everything else may be repeated and is (standard mode, five attempts).

Over https each body carries a CRC32 and the payload is not hashed for the signature; over plain
http the payload is signed instead, but for a server on this machine. Not here: deleting.
"""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from ..errors import ConfigError, UnavailableError
from .failure import Place, translated
from .object import Entry, MissingError, Stat, Stored
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

    async def list(self, prefix: str) -> AsyncGenerator[Entry, None]:
        """Every object whose key begins so, in the order of keys, a page at a time."""
        pages = self._data.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix
        )
        with translated(self._place, prefix):
            async for page in pages:
                for line in page.get("Contents", []):
                    yield Entry(line["Key"], line["Size"], line["ETag"], line["LastModified"])

    async def clock(self) -> dt.datetime:
        """What the store's clock shows, to the second; UnavailableError where it does not say."""
        with translated(self._place, None):
            answer = await self._data.head_bucket(Bucket=self.bucket)
        said = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
        try:
            return parsedate_to_datetime(said)
        except ValueError as reason:
            raise UnavailableError(
                "the store does not tell its time", where="s3", endpoint=self._place.endpoint
            ) from reason

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
