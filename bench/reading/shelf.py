"""What the discarding S3 server keeps, and how it answers: objects by key, uploads by number.

Kept are whole bodies of plain PUTs, and of multipart uploads sizes and metadata (with a folder,
their bytes as files). The conditions `If-Match` and `If-None-Match` hold on PUT and on Complete.
"""

from __future__ import annotations

import hashlib
import itertools
import shutil
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import BinaryIO
from xml.sax.saxutils import escape

_META = "x-amz-meta-"


@dataclass(slots=True)
class Asked:
    """One request; of a part only the size is kept."""

    method: str
    key: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytearray = field(default_factory=bytearray)
    size: int = 0
    file: Path | None = None

    @property
    def is_part(self) -> bool:
        """Whether its body is a part of an upload."""
        return self.method == "PUT" and "partNumber" in self.query

    @property
    def metadata(self) -> dict[str, str]:
        """The user's own headers."""
        return {name: value for name, value in self.headers.items() if name.startswith(_META)}


@dataclass(slots=True)
class Answer:
    """A status, headers, and the body."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(slots=True)
class _Object:
    etag: str
    size: int
    metadata: dict[str, str]
    body: bytes | None


@dataclass(slots=True)
class _Upload:
    key: str
    metadata: dict[str, str]
    parts: dict[int, Asked] = field(default_factory=dict)


class Shelf:
    """All objects and open uploads."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._objects: dict[str, _Object] = {}
        self._uploads: dict[str, _Upload] = {}
        self._numbers = itertools.count(1)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def file_for(self, asked: Asked) -> BinaryIO | None:
        """Where a part's bytes go, if they are kept."""
        if self._folder is None or not asked.is_part:
            return None
        asked.file = self._folder / f".part-{next(self._numbers)}"  # a part may come twice at once
        return asked.file.open("wb")

    def answer(self, asked: Asked) -> Answer:
        """Carry a request out."""
        if "uploads" in asked.query or "uploadId" in asked.query:
            return self._of_upload(asked)
        if not asked.key:
            return self._of_bucket(asked)
        if asked.method == "PUT":
            return self._put(asked)
        found = self._objects.get(asked.key)
        if found is None:
            return _error(404, "NoSuchKey")
        about = {"ETag": found.etag, "Last-Modified": formatdate(usegmt=True), **found.metadata}
        if asked.method == "HEAD":
            return Answer(200, {**about, "Content-Length": str(found.size)})
        return Answer(200, about, found.body or b"")

    def _put(self, asked: Asked) -> Answer:
        if refused := self._refused(asked):
            return refused
        etag = f'"{hashlib.md5(asked.body, usedforsecurity=False).hexdigest()}"'
        self._objects[asked.key] = _Object(etag, asked.size, asked.metadata, bytes(asked.body))
        return Answer(200, {"ETag": etag})

    def _refused(self, asked: Asked) -> Answer | None:
        """What a condition says that does not hold."""
        found = self._objects.get(asked.key)
        if "if-none-match" in asked.headers and found is not None:
            return _error(412, "PreconditionFailed")
        wanted = asked.headers.get("if-match")
        if wanted is None or (found is not None and found.etag == wanted):
            return None
        return _error(412, "PreconditionFailed") if found is not None else _error(404, "NoSuchKey")

    def _of_bucket(self, asked: Asked) -> Answer:
        if asked.query.get("list-type") != "2":
            return Answer(200)
        keys = sorted(key for key in self._objects if key.startswith(asked.query.get("prefix", "")))
        lines = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{self._objects[key].size}</Size>"
            f"<ETag>{escape(self._objects[key].etag)}</ETag>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for key in keys
        )
        return _xml("ListBucketResult", f"<IsTruncated>false</IsTruncated>{lines}")

    def _of_upload(self, asked: Asked) -> Answer:
        if asked.method == "POST" and "uploads" in asked.query:
            number = f"u{next(self._numbers)}"
            self._uploads[number] = _Upload(asked.key, asked.metadata)
            return _xml("InitiateMultipartUploadResult", f"<UploadId>{number}</UploadId>")
        number = asked.query.get("uploadId", "")
        upload = self._uploads.get(number)
        if upload is None:
            return _error(404, "NoSuchUpload")
        if asked.is_part:
            part = int(asked.query["partNumber"])
            upload.parts[part] = asked
            return Answer(200, {"ETag": f'"{number}-{part}"'})
        if asked.method == "POST":
            return self._complete(asked, number, upload)
        if asked.method == "DELETE":
            del self._uploads[number]
        return Answer(204)

    def _complete(self, asked: Asked, number: str, upload: _Upload) -> Answer:
        if refused := self._refused(asked):
            return refused
        del self._uploads[number]
        etag = f'"{number}-{len(upload.parts)}"'
        size = sum(part.size for part in upload.parts.values())
        self._objects[upload.key] = _Object(etag, size, upload.metadata, None)
        if self._folder is not None:
            self._join(self._folder / upload.key, upload)
        return _xml("CompleteMultipartUploadResult", f"<ETag>{escape(etag)}</ETag>")

    def _join(self, whole: Path, upload: _Upload) -> None:
        """The parts as one file, named as its key."""
        whole.parent.mkdir(parents=True, exist_ok=True)
        with whole.open("wb") as file:
            for _, part in sorted(upload.parts.items()):
                assert part.file is not None
                with part.file.open("rb") as piece:
                    shutil.copyfileobj(piece, file)
                part.file.unlink()


def _xml(name: str, inner: str) -> Answer:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<{name}>{inner}</{name}>'
    return Answer(200, {"Content-Type": "application/xml"}, text.encode())


def _error(status: int, code: str) -> Answer:
    answer = _xml("Error", f"<Code>{code}</Code><Message>{code}</Message>")
    answer.status = status
    return answer
