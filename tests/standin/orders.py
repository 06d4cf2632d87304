"""What every driver's test loads: a day of orders, then corrections, as Parquet by manifest."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from tests.standin.site import Site

COLUMNS = (
    "id BIGINT NOT NULL, customer VARCHAR(40), items SMALLINT, amount DECIMAL(12,2),"
    " weight DOUBLE PRECISION, paid BOOLEAN, ordered DATE, changed TIMESTAMP"
)
DDL = f"CREATE TABLE orders ({COLUMNS}, PRIMARY KEY (id)) DISTKEY (id) SORTKEY (changed)"
STAGE = "CREATE TEMP TABLE stage (LIKE orders)"
READ = "SELECT * FROM orders ORDER BY id"
UPSERT = (
    "DELETE FROM orders USING stage WHERE orders.id = stage.id",
    "INSERT INTO orders SELECT * FROM stage",
    "DROP TABLE stage",
)
LOADED = "Load into table '{}' completed, {} record(s) loaded successfully."

_SCHEMA = pa.schema(
    {
        "id": pa.int64(),
        "customer": pa.string(),
        "items": pa.int16(),
        "amount": pa.decimal128(12, 2),
        "weight": pa.float64(),
        "paid": pa.bool_(),
        "ordered": pa.date32(),
        "changed": pa.timestamp("us"),
    }
)
_DAY = dt.date(2026, 3, 29)
_NOON = dt.datetime(2026, 3, 29, 12, 0, 0, 250_000)

FIRST: list[tuple[Any, ...]] = [
    (1, "Ångström", 3, Decimal("19.90"), 0.5, True, _DAY, _NOON),
    (2, "o'Neil", 1, Decimal("-0.01"), 1e-9, False, _DAY, _NOON),
    (9_007_199_254_740_993, None, None, None, None, None, None, None),
]
SECOND: list[tuple[Any, ...]] = [
    (2, "o'Neil", 2, Decimal("7.00"), 2.25, True, _DAY, _NOON + dt.timedelta(hours=1)),
    (4, "back\\slash", 0, Decimal("9999999999.99"), -1.0, False, _DAY, _NOON),
]
MERGED = sorted([*(row for row in FIRST if row[0] != 2), *SECOND])


def load(at: Site, name: str, rows: list[tuple[Any, ...]], target: str = "orders") -> str:
    """Store rows as a file with its manifest; the COPY that loads them."""
    columns = zip(_SCHEMA, zip(*rows, strict=True), strict=True)
    arrays = [pa.array(list(values), field.type) for field, values in columns]
    size = at.put(f"{name}/part-1.parquet", pa.Table.from_arrays(arrays, schema=_SCHEMA))
    at.manifest(f"{name}/manifest", at.entry(f"{name}/part-1.parquet", size))
    return at.copy(f"{name}/manifest", target, "MANIFEST")


def too_wide(at: Site) -> str:
    """A COPY whose file has a column more than its table."""
    at.put(
        "wide/1",
        pa.table(
            {field.name: pa.array([None], field.type) for field in _SCHEMA}
            | {"extra": pa.array([1], pa.int64())}
        ),
    )
    return at.copy("wide/", "orders")
