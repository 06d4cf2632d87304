"""COPY's statement and what it answers: rules 1 to 4, 13 to 15."""

from __future__ import annotations

import pyarrow as pa

from tests.standin.checks import check
from tests.standin.site import Site

TWO = pa.table({"a": pa.array([1, 2], pa.int64()), "b": ["x", "y"]})


@check("1")
async def columns_match_by_position(at: Site) -> None:
    await at.run("CREATE TABLE t (a BIGINT, b VARCHAR(10))")
    at.put("x/1", pa.table({"b": pa.array([7], pa.int64()), "a": ["x"]}))
    await at.run(at.copy("x/"))
    assert await at.rows("SELECT a, b FROM t") == [(7, "x")]
