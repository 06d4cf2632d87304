"""Peers that read MySQL into Arrow by themselves, each as its own documentation shows it."""

from __future__ import annotations

import time
from urllib.parse import unquote, urlsplit

from reading.child import RefusedError, Task, Told

_BATCH = 65_536


def connectorx_arrow(task: Task) -> Told:
    """ConnectorX: one table in memory."""
    import connectorx

    began = time.perf_counter()
    table = connectorx.read_sql(_database(task), task.query, return_type="arrow", protocol="binary")
    return Told(table.num_rows, time.perf_counter() - began, table.nbytes)


def connectorx_stream(task: Task) -> Told:
    """ConnectorX: record batches as they come."""
    import connectorx

    began = time.perf_counter()
    stream = connectorx.read_sql(
        _database(task),
        task.query,
        return_type="arrow_stream",
        protocol="binary",
        batch_size=_BATCH,
    )
    rows = sum(batch.num_rows for batch in stream)
    return Told(rows, time.perf_counter() - began)


def polars_uri(task: Task) -> Told:
    """polars: a data frame (by ConnectorX underneath)."""
    import polars as pl

    began = time.perf_counter()
    frame = pl.read_database_uri(task.query, _database(task))
    return Told(frame.height, time.perf_counter() - began)


def arrow_odbc(task: Task) -> Told:
    """arrow-odbc with MariaDB's ODBC driver."""
    try:
        from arrow_odbc import Error, read_arrow_batches_from_odbc
    except OSError as reason:  # the manager of ODBC's drivers is a system package
        raise RefusedError(f"{reason} (apt-get install odbc-mariadb)") from reason
    parts = urlsplit(task.url)
    began = time.perf_counter()
    try:
        reader = read_arrow_batches_from_odbc(
            query=task.query,
            connection_string=(
                "Driver={MariaDB Unicode};"
                f"Server={parts.hostname};Port={parts.port};NO_CACHE=1;FORWARDONLY=1;"
            ),
            user=unquote(str(parts.username)),
            password=unquote(str(parts.password)),
            batch_size=_BATCH,
            max_text_size=4096,
            max_binary_size=4096,
        )
        rows = sum(batch.num_rows for batch in reader)
    except Error as reason:
        raise RefusedError(" ".join(str(reason).split())) from reason
    return Told(rows, time.perf_counter() - began)


def _database(task: Task) -> str:
    return f"{task.url}{task.table.partition('.')[0]}"
