"""The benchmark's discarding S3 server is an S3 server to the product, parts' bytes aside."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3rs_async.config.connections import S3Config
from s3rs_async.s3.canary import prove
from s3rs_async.s3.object import MissingError, StaleError
from s3rs_async.s3.store import open_store

PROGRAM = Path(__file__).parents[2] / "bench" / "reading" / "endpoint.py"
PART = 5 << 20


@pytest.fixture
def config(tmp_path: Path) -> Iterator[S3Config]:
    command = [sys.executable, str(PROGRAM), "--keep", str(tmp_path / "kept")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline().split()[-1]
        yield S3Config.model_validate(
            {
                "bucket": "bench",
                "endpoint": f"http://127.0.0.1:{port}",
                "access_key": "a",
                "secret_key": "b",
            }
        )
        process.kill()


async def test_conditions_hold_and_small_objects_are_kept(config: S3Config) -> None:
    async with open_store(config) as store:
        await prove(store, "canary")
        etag = await store.put_if("state.json", b"one", None)
        with pytest.raises(StaleError):
            await store.put_if("state.json", b"two", None)
        with pytest.raises(MissingError):
            await store.put_if("other.json", b"two", etag)
        assert await store.put_if("state.json", b"three", etag) != etag

        found = await store.get("state.json")
        assert found is not None
        assert found.body == b"three"
        assert await store.get("none") is None
        assert [entry.key async for entry in store.list("state")] == ["state.json"]


async def test_an_upload_is_completed_once_and_taken_back(config: S3Config, tmp_path: Path) -> None:
    async with open_store(config) as store:
        async with store.upload("a/part.parquet") as upload:
            await upload.part(2, b"tail")
            await upload.part(1, b"x" * PART)
            await upload.complete()
            found = await upload.stat()
        async with store.upload("a/given-up.parquet") as upload:
            await upload.part(1, b"x")

        assert found is not None
        assert (found.size, found.upload != "") == (PART + 4, True)
        assert await store.head("a/given-up.parquet") is None
    assert (tmp_path / "kept/a/part.parquet").read_bytes() == b"x" * PART + b"tail"
