"""A multipart upload that is completed, or taken back whatever ends its block.

The key is nobody else's, so the guard at Complete (`If-None-Match: *`) only catches a mistake of
ours. An answer that says nothing (or 404, 409, 412) is settled by looking: an object of our size
that carries our upload's stamp is this upload, completed. When the block is left otherwise, by an
error or a cancellation, parts still under way are waited for and the upload is aborted, each within
a bound; what even then stays behind is an upload that no state names.
"""

from __future__ import annotations

import asyncio
import base64
import io
import zlib
from typing import TYPE_CHECKING, Any

import structlog

from .. import clock
from ..errors import Error, UnavailableError, UnknownOutcomeError
from .failure import translated
from .object import BusyError, MissingError, StaleError, Stat

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client
    from types_aiobotocore_s3.type_defs import CompletedPartTypeDef

    from .failure import Place

STAMP = "s3rs-upload"

_COMPLETES = 5
_ABORTS = 3
_PAUSE = 0.2
_ABORT_SECONDS = 15.0
_log: Any = structlog.get_logger(__name__)


class Upload:
    """One object in the making; parts may go up several at once, in any order."""

    def __init__(self, data: S3Client, once: S3Client, place: Place, key: str) -> None:
        self.key = key
        self._data = data
        self._once = once
        self._place = place
        self._checksum = data.meta.endpoint_url.startswith("https:")
        self._stamp = clock.ulid()
        self._id = ""
        self._parts: dict[int, CompletedPartTypeDef] = {}
        self._size = 0
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._ended = False

    async def begin(self) -> None:
        """Open the upload at the store."""
        extra: Any = {"ChecksumAlgorithm": "CRC32"} if self._checksum else {}
        with translated(self._place, self.key):
            answer = await self._data.create_multipart_upload(
                Bucket=self._place.bucket, Key=self.key, Metadata={STAMP: self._stamp}, **extra
            )
        self._id = answer["UploadId"]

    async def part(self, number: int, data: bytes) -> None:
        """Send one part (numbered from 1; all but the last of 5 MiB or more)."""
        if self._ended:
            raise UnavailableError("the upload has ended", key=self.key)
        self._under_way += 1
        self._idle.clear()
        try:
            self._parts[number] = await self._send(number, data)
            self._size += len(data)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def _send(self, number: int, data: bytes) -> CompletedPartTypeDef:
        checksum: Any = {}
        if self._checksum:  # megabytes: on a thread, beside the loop
            checksum = {"ChecksumCRC32": await asyncio.to_thread(_crc32, data)}
        with translated(self._place, self.key):
            answer = await self._data.upload_part(
                Bucket=self._place.bucket,
                Key=self.key,
                UploadId=self._id,
                PartNumber=number,
                Body=_Body(data),
                **checksum,
            )
            part: CompletedPartTypeDef = {"PartNumber": number, "ETag": answer["ETag"]}
        part.update(checksum)
        return part

    async def complete(self) -> str:
        """Make the parts one object; its ETag. A lost answer is settled by looking."""
        for attempt in range(_COMPLETES):
            try:
                return self._end(await self._finish())
            except (BusyError, StaleError, UnknownOutcomeError, UnavailableError) as doubt:
                found = await self.stat()
                if found is not None and self._is_ours(found):
                    return self._end(found.etag)
                if isinstance(doubt, BusyError | StaleError | MissingError):
                    raise UnavailableError(
                        "the upload was lost at its end",
                        key=self.key,
                        reason=str(doubt),
                        hint="nothing is committed: the next pass reads the same rows again",
                    ) from doubt
            await clock.sleep(clock.jitter(_PAUSE * 2**attempt))
        raise UnavailableError(
            "the upload could not be completed", key=self.key, attempts=_COMPLETES
        )

    async def _finish(self) -> str:
        parts = [self._parts[number] for number in sorted(self._parts)]
        with translated(self._place, self.key, once=True):
            answer = await self._once.complete_multipart_upload(
                Bucket=self._place.bucket,
                Key=self.key,
                UploadId=self._id,
                MultipartUpload={"Parts": parts},
                IfNoneMatch="*",
            )
            return answer["ETag"]

    async def stat(self) -> Stat | None:
        """What lies at our key now."""
        return await stat(self._data, self._place, self.key)

    def _is_ours(self, found: Stat) -> bool:
        return (found.size, found.upload) == (self._size, self._stamp)

    def _end(self, etag: str) -> str:
        self._ended = True
        return etag

    async def close(self) -> None:
        """Take an upload back that was not completed, within a bound; never raises for it."""
        if self._ended:
            return
        self._ended = True
        try:
            async with asyncio.timeout(_ABORT_SECONDS):
                await self.abort()
        except (Error, TimeoutError) as reason:
            _log.warning("upload_not_aborted", key=self.key, reason=str(reason) or "timed out")

    async def abort(self) -> None:
        """Take the upload back; the store's refusal where it does not let us."""
        self._ended = True
        await self._idle.wait()
        await self._abort()

    async def _abort(self) -> None:
        """Abort until the store says that there is no such upload: a late part may revive it."""
        for _ in range(_ABORTS):
            names: Any = {"Bucket": self._place.bucket, "Key": self.key, "UploadId": self._id}
            try:
                with translated(self._place, self.key):
                    await self._data.abort_multipart_upload(**names)
                    await self._data.list_parts(**names)
            except MissingError:
                return
        raise UnavailableError("parts keep arriving for an aborted upload", key=self.key)


class _Body(io.BytesIO):
    """A part as the driver takes it, which is never there twice.

    The driver makes a file of bytes, and asks it for its buffer to learn how large it is; an
    ordinary one would copy for that what it shares.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._data = data

    def getbuffer(self) -> memoryview:
        return memoryview(self._data)


def _crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


async def stat(client: S3Client, place: Place, key: str) -> Stat | None:
    """An object without its body; None when there is none."""
    try:
        with translated(place, key):
            answer = await client.head_object(Bucket=place.bucket, Key=key)
            return Stat(answer["ContentLength"], answer["ETag"], answer["Metadata"].get(STAMP, ""))
    except MissingError:
        return None
