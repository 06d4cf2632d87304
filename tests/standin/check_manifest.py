"""COPY by manifest: rules 9 to 9k."""

from __future__ import annotations

from typing import Any

from tests.standin.check_copy import BOTH_PROTOCOLS, TABLE, TWO, fails_in
from tests.standin.check_source import bucket, parquet
from tests.standin.checks import check
from tests.standin.site import Site

NOT_FOUND = ("XX000", "Spectrum Scan Error: File not found")


async def loaded(at: Site) -> list[tuple[Any, ...]]:
    """What a COPY of the manifest `m` brings into the table."""
    await at.run(at.copy("m", more="MANIFEST"))
    return await at.rows("SELECT pg_last_copy_count(), count(*) FROM t")


@check("9", BOTH_PROTOCOLS)
async def a_manifest_names_the_files(at: Site, how: str) -> None:
    await at.run(TABLE)
    at.put("other", TWO)
    at.manifest("m", at.entry("a", at.put("a", TWO)), at.entry("b", at.put("b", TWO)))
    await getattr(at.con, how)(at.copy("m", more="MANIFEST"))
    assert await at.rows("SELECT pg_last_copy_count(), count(*) FROM t") == [(4, 4)]


@check("9a", [("longer", 1), ("shorter", -1)])
async def a_wrong_length_fails(at: Site, more: int) -> None:
    await at.run(TABLE)
    at.manifest("m", at.entry("a", at.put("a", TWO) + more))
    error = await at.fails(at.copy("m", more="MANIFEST"))
    assert (error.sqlstate, error.message) == ("XX000", "Spectrum Scan Error")


@check("9b", [("no meta", {}), ("no length", {"meta": {}})])
async def an_entry_needs_its_length(at: Site, given: dict[str, Any]) -> None:
    await at.run(TABLE)
    at.put("a", TWO)
    at.manifest("m", {"url": at.uri("a"), "mandatory": True, **given})
    error = await at.fails(at.copy("m", more="MANIFEST"))
    assert (error.sqlstate, error.message) == ("XX000", "File entry does not have 'meta' key.")
    assert "code:      15003" in error.detail
    assert "spectrum_manifest.cpp" in error.detail


@check("9c", BOTH_PROTOCOLS)
async def a_mandatory_file_must_be_there(at: Site, how: str) -> None:
    await at.run(TABLE)
    at.manifest("m", at.entry("a", at.put("a", TWO)), at.entry("gone", 5))
    error = await fails_in(at, how, at.copy("m", more="MANIFEST"))
    assert (error.sqlstate, error.message) == NOT_FOUND
    assert await at.rows("SELECT count(*) FROM t") == [(0,)]


@check("9d")
async def a_file_is_optional_unless_said(at: Site) -> None:
    await at.run(TABLE)
    gone = {"url": at.uri("gone"), "meta": {"content_length": 5}}
    at.manifest("m", gone, at.entry("a", at.put("a", TWO)))
    assert await loaded(at) == [(2, 2)]


@check("9d", proves=False)
async def an_optional_file_may_be_missing(at: Site) -> None:
    await at.run(TABLE)
    gone = at.entry("gone", 5, mandatory=False)
    at.manifest("m", gone, at.entry("a", at.put("a", TWO)))
    assert await loaded(at) == [(2, 2)]


@check("9e", [("two gone", ["g", "h"]), ("no entry", [])])
async def a_manifest_without_any_file_fails(at: Site, names: list[str]) -> None:
    await at.run(TABLE)
    at.manifest("m", *(at.entry(name, 5, mandatory=False) for name in names))
    error = await at.fails(at.copy("m", more="MANIFEST"))
    assert (error.sqlstate, error.message) == NOT_FOUND


@check("9f")
async def a_file_that_is_listed_twice_is_loaded_twice(at: Site) -> None:
    await at.run(TABLE)
    size = at.put("a", TWO)
    at.manifest("m", at.entry("a", size), at.entry("a", size))
    assert await loaded(at) == [(4, 4)]


@check("9g", BOTH_PROTOCOLS)
async def a_missing_manifest_is_told_in_s3s_words(at: Site, how: str) -> None:
    await at.run(TABLE)
    error = await fails_in(at, how, at.copy("m", more="MANIFEST"))
    said = "Problem reading manifest file - S3ServiceException:The specified key does not exist."
    assert error.sqlstate == "XX000"
    assert error.message.startswith(f"{said},Status 404,Error NoSuchKey")


@check("9g")
async def a_manifest_is_one_key_and_no_prefix(at: Site) -> None:
    await at.run(TABLE)
    at.manifest("m1", at.entry("a", at.put("a", TWO)))
    error = await at.fails(at.copy("m", more="MANIFEST"))
    assert "The specified key does not exist." in error.message


BROKEN = [
    ("no JSON", "{]"),
    ("no entries", '{"files": []}'),
    ("a list", "[]"),
    ("a text", '{"entries": ["s3://b/k"]}'),
    ("no address", '{"entries": [{"mandatory": true, "meta": {"content_length": 5}}]}'),
    ("another store", '{"entries": [{"url": "http://b/k", "meta": {"content_length": 5}}]}'),
]


@check("9h", BROKEN)
async def a_broken_manifest_fails(at: Site, content: str) -> None:
    await at.run(TABLE)
    at.put("m", content)
    error = await at.fails(at.copy("m", more="MANIFEST"))
    assert error.sqlstate == "XX000"
    assert error.message.startswith("Problem reading manifest file")


@check("9i")
async def two_slashes_are_another_key(at: Site) -> None:
    await at.run(TABLE)
    at.put("d/a", TWO.slice(0, 1))
    at.manifest("m", at.entry("d//a", at.put("d//a", TWO)))
    assert await loaded(at) == [(2, 2)]


@check("9j")
async def an_equals_sign_is_escaped_in_messages(at: Site) -> None:
    await at.run(TABLE)
    at.manifest("m", at.entry("d=1/a", at.put("d=1/a", TWO.select(["a"]))))
    error = await at.fails(at.copy("m", more="MANIFEST"))
    assert "Table columns: 2, Data columns: 1" in error.detail
    assert f"{at.place.bucket}/{at.key('d%3D1/a')}" in error.detail


@check("9k", only_here="it makes a bucket of its own")
async def a_manifest_may_name_another_bucket(at: Site) -> None:
    await at.run(TABLE)
    with bucket(at, "beside") as there:
        entry = {"url": f"s3://{there}/x", "mandatory": True}
        at.manifest("m", {**entry, "meta": {"content_length": len(parquet(TWO))}})
        assert await loaded(at) == [(2, 2)]


@check("6", only_here="it makes a bucket in another region")
async def a_file_of_another_region_is_refused(at: Site) -> None:
    await at.run(TABLE)
    with bucket(at, "far", "eu-west-1") as there:
        entry = {"url": f"s3://{there}/x", "mandatory": True, "meta": {"content_length": 5}}
        at.manifest("m", entry)
        error = await at.fails(at.copy("m", more="MANIFEST"))
    assert "Error PermanentRedirect" in error.message
