"""Source tables of four shapes over several MySQL servers, and the pipelines that read them.

Each shape is found by a strategy of its own: by the server's stamp with one key column or with two,
by a growing id, and by whole seconds that the application sets. Each server has a database, and so
the target a schema, of a name that no other one has; each server is a source and has one pipeline,
of the source's name. Rows are made by the server from numbers, with NULLs and text of many bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from tests.acceptance.ledger import Place
from tests.acceptance.source import application

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from s3rs_async.sandbox import Box
    from s3rs_async.sandbox.mariadb import MySQL

_STAMP = "changed TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)"
LOOKBACK = 10
"""Seconds by which stamps of the application may be committed late."""


@dataclass(frozen=True)
class Shape:
    """How a table is made, written to and read.

    `made` are its columns, with the expressions over `n` that fill them. `change` is what an UPDATE
    sets; nothing where rows do not change. `settings` are the table's own in the pipeline.
    """

    name: str
    columns: str
    made: tuple[tuple[str, str], ...]
    key: tuple[str, ...]
    change: str = ""
    settings: dict[str, Any] = field(default_factory=dict)


_ORDERS = Shape(
    "orders",
    "id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, revision INT NOT NULL,"
    " name VARCHAR(80) NOT NULL, amount DECIMAL(15,4), ratio DOUBLE, born DATE, at DATETIME(6),"
    f" note TEXT, kind ENUM('new','on way','zurück') NOT NULL, {_STAMP}, KEY (changed)",
    (
        ("revision", "0"),
        ("name", "CONCAT('Zoë 田 ', n)"),
        ("amount", "IF(n % 7 = 0, NULL, ROUND(n / 16, 4))"),
        ("ratio", "IF(n % 11 = 0, NULL, n / 7.7)"),
        ("born", "'2020-02-29' + INTERVAL n % 9999 DAY"),
        ("at", "'2021-01-01' + INTERVAL n MICROSECOND"),
        ("note", "IF(n % 3 = 0, NULL, REPEAT(MD5(n), 1 + n % 4))"),
        ("kind", "1 + n % 3"),
    ),
    ("id",),
    "revision = revision + 1, amount = IF(revision % 5 = 0, NULL, ROUND(revision / 3, 4)),"
    " note = MD5(id + revision)",
)
_LINES = Shape(
    "lines",
    "region SMALLINT NOT NULL, number INT NOT NULL, revision INT NOT NULL, what VARCHAR(60),"
    f" {_STAMP}, PRIMARY KEY (region, number), KEY (changed)",
    (
        ("region", "n % 5"),
        ("number", "n"),
        ("revision", "0"),
        ("what", "IF(n % 4 = 0, NULL, CONCAT('配達 ', n))"),
    ),
    ("region", "number"),
    "revision = revision + 1, what = CONCAT('again ', revision)",
)
_EVENTS = Shape(
    "events",
    "id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, kind VARCHAR(20) NOT NULL, payload TEXT,"
    " at DATETIME(3) NOT NULL",
    (
        ("kind", "ELT(1 + n % 3, 'seen', 'gone', 'über')"),
        ("payload", "IF(n % 5 = 0, NULL, SHA1(n))"),
        ("at", "'2024-03-31 02:30:00' + INTERVAL n SECOND"),
    ),
    ("id",),
    settings={"cdc_strategy": "id_only", "cdc_id_column": "id", "apply": "append"},
)
_PRICES = Shape(
    "prices",
    "id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, revision INT NOT NULL, price DECIMAL(12,4),"
    " changed_at BIGINT NOT NULL, KEY (changed_at)",
    (
        ("revision", "0"),
        ("price", "IF(n % 6 = 0, NULL, ROUND(n / 8, 4))"),
        ("changed_at", "UNIX_TIMESTAMP()"),
    ),
    ("id",),
    "revision = revision + 1, price = ROUND(revision / 3, 4), changed_at = UNIX_TIMESTAMP()",
    settings={
        "cdc_strategy": "hybrid",
        "cdc_timestamp_column": "changed_at",
        "timestamp_format": "unix",
        "lookback": f"{LOOKBACK}s",
    },
)
SHAPES = (_ORDERS, _LINES, _EVENTS, _PRICES)


@dataclass(frozen=True)
class Table:
    """One table at one server."""

    server: MySQL
    name: str
    shape: Shape

    @property
    def schema(self) -> str:
        return self.name.partition(".")[0]

    @property
    def pipeline(self) -> str:
        """The pipeline that reads it, which is called as its source is."""
        return self.server.name

    @property
    def ddl(self) -> str:
        return f"CREATE TABLE {self.name} ({self.shape.columns}) CHARSET=utf8mb4"

    def insert(self, first: int, last: int) -> str:
        """INSERT of the rows of these numbers."""
        names = ", ".join(name for name, _ in self.shape.made)
        made = ", ".join(expression for _, expression in self.shape.made)
        numbers = f"(SELECT seq AS n FROM {self.schema}.seq_{first}_to_{last}) AS numbers"
        return f"INSERT INTO {self.name} ({names}) SELECT {made} FROM {numbers}"

    def update(self, first: int, last: int) -> str:
        """UPDATE of the rows of these numbers; empty where rows do not change."""
        if not self.shape.change:
            return ""
        column = self.shape.key[-1]
        where = f"{column} BETWEEN {first} AND {last}"
        return f"UPDATE {self.name} SET {self.shape.change} WHERE {where}"

    @property
    def top(self) -> str:
        """SELECT of the highest number there is."""
        return f"SELECT COALESCE(MAX({self.shape.key[-1]}), 0) FROM {self.name}"

    def place(self, box: Box) -> Place:
        """Where its state and ledger are."""
        return Place(box, self.name, source=self.server.name, pipeline=self.pipeline)


def make_tables(
    servers: Sequence[MySQL], count: int, *, rows: int, token: str
) -> tuple[Table, ...]:
    """So many tables over the servers, of all shapes, with rows in them."""
    made = []
    for number in range(count):
        server, shape = servers[number % len(servers)], SHAPES[number % len(SHAPES)]
        made.append(Table(server, f"{token}_{server.name}.{shape.name}_{number}", shape))
    for server in servers:
        with application(server, None, "'+00:00'") as run:
            run(f"CREATE DATABASE {token}_{server.name}")
            for table in made:
                if table.server is server:
                    run(table.ddl)
                    run(table.insert(1, rows))
    return tuple(made)


def write_pipelines(box: Box, tables: Sequence[Table], folder: Path, *, every: str) -> list[str]:
    """The box's connections and a pipeline for each source, in a folder; the pipelines' names."""
    inside = folder / "pipelines"
    inside.mkdir(parents=True)
    (folder / "connections.yml").write_text(yaml.safe_dump(box.connections, sort_keys=False))
    names = sorted({table.pipeline for table in tables})
    for name in names:
        document = {
            "pipeline": name,
            "source": name,
            "target": "standin",
            "defaults": {"every": every},
            "tables": {t.name: t.shape.settings for t in tables if t.pipeline == name},
        }
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
        (inside / f"{name}.yml").write_text(text)
    return names
