"""A real source for tests of the reading side: an application's connection, ours, and a plan."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pymysql

from s3rs_async.config import SourceConfig
from s3rs_async.model import TableName, TableSpec
from s3rs_async.mysql.chunk import ReadPlan, choose
from s3rs_async.mysql.connection import Source
from s3rs_async.mysql.schema import read_table

Run = Callable[[str], tuple[tuple[Any, ...], ...]]


@contextlib.contextmanager
def application(
    mysql: Any, database: str | None = None, zone: str = "@@GLOBAL.time_zone"
) -> Iterator[Run]:
    """A connection as the applications have it that own the tables."""
    with pymysql.connect(
        host=mysql.host,
        port=mysql.port,
        user=mysql.user,
        password=mysql.password,
        database=database,
        autocommit=True,
        init_command=f"SET time_zone={zone}, sql_mode=''",
    ) as connection:

        def run(statement: str) -> tuple[tuple[Any, ...], ...]:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall()

        yield run


@contextlib.contextmanager
def own_database(mysql: Any) -> Iterator[str]:
    """A database that is there as long as it is wanted."""
    name = f"t_{secrets.token_hex(6)}"
    with application(mysql) as run:
        run(f"CREATE DATABASE {name}")
        yield name
        run(f"DROP DATABASE {name}")


def configured(mysql: Any, **other: Any) -> SourceConfig:
    """The settings of a source that is this server."""
    settings = {
        "host": mysql.host,
        "port": mysql.port,
        "user": mysql.user,
        "password": mysql.password,
        "tls": "off",
    }
    return SourceConfig(**(settings | other))


async def plan_of(source: Source, name: str = "a", **asked: Any) -> ReadPlan:
    """The plan for a table of the source's own database."""
    table = TableName(source.name, name)
    async with source.session(purpose="test") as session:
        return choose(await read_table(session, table), TableSpec(table, **asked))
