"""The stage: whether the bucket lets us do what a sync does, and keeps its promises.

The self test of conditional writes is run afresh, whatever is remembered of it. It writes the
canary object and one upload that is taken back; nothing else is written.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from .. import clock
from ..config import S3Config
from ..errors import ConfigError
from ..s3.canary import prove
from ..s3.layout import canary_key, root
from ..s3.store import Store, open_store
from . import skew
from .check import Sheet, Tell
from .way import is_loopback

_DENIED = "AccessDenied"
_SIGNATURE_SECONDS = 900.0  # signatures older or newer than that are refused


async def examine_store(config: S3Config, tell: Tell) -> None:
    """Every line about the bucket."""
    sheet = Sheet("s3", tell)
    _endpoint(sheet, config)
    await sheet.take([("bucket", partial(_opened, sheet, config))])


@dataclass(frozen=True, slots=True)
class _Stage:
    sheet: Sheet
    config: S3Config
    store: Store

    @property
    def folder(self) -> str:
        return f"{root(self.config.prefix)}_doctor/"


def _endpoint(sheet: Sheet, config: S3Config) -> None:
    if config.endpoint is None:
        sheet.ok("endpoint", f"Amazon S3, {config.region}")
        return
    parts = urlsplit(config.endpoint)
    if parts.scheme == "https" or is_loopback(parts.hostname or ""):
        sheet.ok("endpoint", config.endpoint)
        return
    mend = f"set s3.endpoint: https://{parts.netloc}"
    sheet.warn("endpoint", f"{config.endpoint}: rows travel in plain text", mend)


async def _opened(sheet: Sheet, config: S3Config) -> None:
    async with open_store(config) as store:
        stage = _Stage(sheet, config, store)
        await _bucket(stage)  # without one the rest would only say the same again
        await sheet.take(
            [
                ("missing key", partial(_missing_key, stage)),
                ("conditional writes", partial(_conditions, stage)),
                ("upload", partial(_upload, stage)),
                ("clock", partial(_clock, stage)),
                ("versions", partial(_versions, stage)),
            ]
        )


async def _bucket(stage: _Stage) -> None:
    try:
        async with contextlib.aclosing(stage.store.list(root(stage.config.prefix))) as listed:
            first = await anext(listed, None)
    except ConfigError as error:
        if error.context.get("code") != _DENIED:
            raise
        stage.sheet.error("bucket", error, _to_list(stage))
        return
    below = f"s3://{stage.store.bucket}/{root(stage.config.prefix)}"
    stage.sheet.ok("bucket", f"{below} is {'empty' if first is None else 'in use'}")


async def _missing_key(stage: _Stage) -> None:
    """A table's first pass asks for a state that is not there: 404 must be the answer, not 403."""
    try:
        await stage.store.head(f"{stage.folder}{clock.ulid()}")
    except ConfigError as error:
        stage.sheet.error("missing key", error, _to_list(stage))
        return
    stage.sheet.ok("missing key", "is answered as missing")


def _to_list(stage: _Stage) -> str:
    bucket, prefix = stage.store.bucket, root(stage.config.prefix)
    return f"grant s3:ListBucket on arn:aws:s3:::{bucket}, with s3:prefix {prefix}*"


async def _conditions(stage: _Stage) -> None:
    place = stage.config.endpoint or f"aws {stage.config.region}"
    await prove(stage.store, canary_key(stage.config.prefix, place))
    stage.sheet.ok("conditional writes", "If-None-Match and If-Match are honoured")


async def _upload(stage: _Stage) -> None:
    async with stage.store.upload(f"{stage.folder}{clock.ulid()}") as upload:
        await upload.part(1, b"s3rs")
        try:
            await upload.abort()
        except ConfigError as error:
            mend = "grant s3:AbortMultipartUpload and s3:ListMultipartUploadParts, or let the"
            mend += " bucket's life cycle end uploads that were not completed"
            stage.sheet.warn("upload", f"an upload cannot be taken back: {error}", mend)
            return
    stage.sheet.ok("upload", "in parts, begun and taken back")


async def _clock(stage: _Stage) -> None:
    before = clock.utc_now()
    theirs = await stage.store.clock()
    asked = skew.Asked(before, theirs, clock.utc_now(), resolution=1.0)
    skew.tell(stage.sheet, asked, "the store", _SIGNATURE_SECONDS)


async def _versions(stage: _Stage) -> None:
    try:
        kept = await stage.store.keeps_versions()
    except ConfigError:
        stage.sheet.ok("versions", "unknown: s3:GetBucketVersioning is not granted")
        return
    if kept:
        stage.sheet.ok("versions", "of overwritten objects are kept")
        return
    mend = f"aws s3api put-bucket-versioning --bucket {stage.store.bucket}"
    mend += " --versioning-configuration Status=Enabled"
    stage.sheet.warn("versions", "an object that is overwritten cannot be brought back", mend)
