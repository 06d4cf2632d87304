"""Where COPY reads: regions, prefixes, what it passes over (rules 6 to 8 and 10)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from tests.standin.check_copy import BOTH_PROTOCOLS, TABLE, TWO, fails_in
from tests.standin.checks import check
from tests.standin.site import Site


def parquet(table: pa.Table) -> bytes:
    """A table as a file."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue())


@contextmanager
def bucket(at: Site, name: str, region: str = "") -> Iterator[str]:
    """A bucket beside the check's own, with an object `x` in it."""
    named = f"{name}-{at.schema}"
    place = {"CreateBucketConfiguration": {"LocationConstraint": region}} if region else {}
    at.place.s3.create_bucket(Bucket=named, **place)
    try:
        at.place.s3.put_object(Bucket=named, Key="x", Body=parquet(TWO))
        yield named
    finally:
        at.place.s3.delete_object(Bucket=named, Key="x")
        at.place.s3.delete_bucket(Bucket=named)


@check("6", only_here="it makes a bucket in another region")
async def a_bucket_of_another_region_is_refused(at: Site) -> None:
    await at.run(TABLE)
    with bucket(at, "elsewhere", "eu-west-1") as there:
        error = await at.fails(at.copy("x").replace(at.uri("x"), f"s3://{there}/x"))
    assert error.sqlstate == "XX000"
    assert "must be addressed using the specified endpoint" in error.message
    assert "Status 301,Error PermanentRedirect" in error.message
    assert "code:      8001" in error.detail


@check("7")
async def every_key_with_the_prefix_is_loaded(at: Site) -> None:
    await at.run(TABLE)
    for name in ("cust/1", "cust_old/1", "cust.bak"):
        at.put(name, TWO)
    await at.run(at.copy("cust"))
    assert await at.rows("SELECT pg_last_copy_count(), count(*) FROM t") == [(6, 6)]


@check("7a")
async def a_bucket_that_is_not_there_is_named_so(at: Site) -> None:
    await at.run(TABLE)
    error = await at.fails(at.copy("x").replace(at.uri("x"), f"s3://gone-{at.schema}-0/x"))
    assert error.sqlstate == "XX000"
    assert "S3ServiceException:The specified bucket does not exist" in error.message
    assert "Status 404,Error NoSuchBucket" in error.message
    assert "code:      8001" in error.detail


@check("7b", [("text", b"a,b\n1,2\n"), ("a byte", b"x"), ("no footer", b"PAR1....")])
async def what_is_no_parquet_fails(at: Site, content: bytes) -> None:
    await at.run(TABLE)
    at.put("x/a", TWO)
    at.put("x/b", content)
    error = await at.fails(at.copy("x/"))
    assert (error.sqlstate, error.message) == ("XX000", "Spectrum Scan Error")
    assert "has an invalid version number" in error.detail
    assert at.key("x/b") in error.detail
    assert await at.rows("SELECT count(*) FROM t") == [(0,)]


@check("7b")
async def a_parquet_file_that_is_cut_fails(at: Site) -> None:
    await at.run(TABLE)
    at.put("x", b"PAR1 no metadata at all \xff\xff\0\0PAR1")
    error = await at.fails(at.copy("x"))
    assert (error.sqlstate, error.message) == ("XX000", "Spectrum Scan Error")
    assert "code:      15001" in error.detail


@check("8", BOTH_PROTOCOLS)
async def nothing_with_the_prefix_is_an_error(at: Site, how: str) -> None:
    await at.run(TABLE)
    error = await fails_in(at, how, at.copy("none/"))
    said = f"The specified S3 prefix '{at.key('none/')}' does not exist"
    assert (error.sqlstate, error.message) == ("XX000", said)
    assert "code:      8001" in error.detail


@check("8", proves=False, only_here="a knob decides what was read in both ways")
async def nothing_with_the_prefix_may_be_no_error(at: Site) -> None:
    con = await at.connect(settings={"s3rs_standin.empty_prefix": "nothing"})
    await con.execute(TABLE)
    assert await con.execute(at.copy("none/")) == "COPY"
    assert await con.fetchval("SELECT pg_last_copy_count()") == 0


@check("10", [("underscore", "_tmp"), ("dot", ".tmp")])
async def hidden_objects_are_skipped(at: Site, name: str) -> None:
    await at.run(TABLE)
    at.put(f"x/{name}", TWO)
    at.put("x/a", TWO)
    await at.run(at.copy("x/"))
    assert await at.rows("SELECT pg_last_copy_count()") == [(2,)]


@check("10a")
async def empty_objects_are_skipped(at: Site) -> None:
    await at.run(TABLE)
    at.put("x/", b"")
    at.put("x/a", TWO)
    await at.run(at.copy("x/"))
    assert await at.rows("SELECT pg_last_copy_count()") == [(2,)]
