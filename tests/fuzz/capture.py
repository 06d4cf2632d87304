"""Capture what the fuzzers begin with from real servers: descriptions, rows, whole answers.

    python -m tests.fuzz.capture      # writes tables.json, and corpus/* beside what is there

The sandbox's MariaDB says what there is; a real MySQL's packets are added where one was fetched.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from s3rs_async.model import TableName
from s3rs_async.mysql import sql, types
from s3rs_async.mysql.connection import Source
from s3rs_async.mysql.protocol import Protocol
from s3rs_async.mysql.schema import read_table
from s3rs_async.mysql.table import SourceColumn
from s3rs_async.sandbox import mariadb, mysql
from tests.acceptance.source import application, configured, own_database
from tests.fuzz import tables
from tests.fuzz.targets import SEQUENCE, Target, bodies
from tests.servers import debian

if TYPE_CHECKING:
    from s3rs_async.sandbox.mariadb import MySQL

_END = b"\xfe\0\0\x02\0"
_ANSWERS = {Protocol.TEXT: 1, Protocol.BINARY: 2}  # what closes a statement has none


async def main() -> None:
    async with mariadb.private() as server:
        found = await _captured(server, "mariadb")
    lines = ",\n".join(json.dumps(each) for each in found)
    tables.PATH.write_text(f"[\n{lines}\n]\n")
    async with mysql.private(debian.unpacked()) as server:
        await _captured(server, "mysql")


async def _captured(server: MySQL, name: str) -> list[dict[str, Any]]:
    with own_database(server) as database, application(server, database, "'+00:00'") as run:
        run("SET sql_mode = ''")
        for number, (kinds, values) in enumerate(zip(tables.COLUMNS, tables.VALUES, strict=True)):
            columns = ", ".join(f"c{at} {kind}" for at, kind in enumerate(kinds))
            run(f"CREATE TABLE t{number} ({columns}) CHARSET=utf8mb4")
            run(f"INSERT INTO t{number} VALUES ({', '.join(values)})")
            run(f"INSERT INTO t{number} VALUES ({', '.join(['NULL'] * len(kinds))})")
        source = Source(database, configured(server))
        return [
            await _table(source, number, f"{name}-{number}")
            for number in range(len(tables.COLUMNS))
        ]


async def _table(source: Source, number: int, name: str) -> dict[str, Any]:
    at = TableName(source.name, f"t{number}")
    async with source.session(purpose="capture") as session:
        columns = (await read_table(session, at)).columns
    found: dict[str, Any] = {"columns": [_told(column) for column in columns]}
    page = sql.page(sql.Page(at, [types.rule(at, column) for column in columns]))
    for protocol in Protocol:
        config = source.config.model_copy(update={"protocol": protocol.value})
        async with Source(source.name, config).session(purpose="capture") as session:
            answers = _listen(session.connection)
            packets = [packets async for packets in session.rows(page)]
        rows = [body for each in packets for body in bodies(each)]
        found[protocol.value] = [asdict(field) for field in session.fields]
        found[f"{protocol.value}_row"] = rows[0].hex()
        target = Target.TEXT if protocol is Protocol.TEXT else Target.BINARY
        for row, body in enumerate(rows):
            _keep(target, number, body, f"{name}-{row}")
        for what, answer in enumerate(answers[: _ANSWERS[protocol]], protocol is Protocol.BINARY):
            _keep(Target.ANSWERS, what, bytes(answer), name)
        wired = [*rows, _END]
        stream = [_packet(body, SEQUENCE + at) for at, body in enumerate(wired)]
        _keep(Target.FRAMING, number, b"".join(stream), f"{name}-{protocol.value}")
    return found


def _told(column: SourceColumn) -> dict[str, Any]:
    """The facts that there are of a column."""
    return {name: fact for name, fact in asdict(column).items() if fact not in (None, False)}


def _listen(connection: Any) -> list[bytearray]:
    """What the server answers to each command from now on, as it comes."""
    answers: list[bytearray] = []
    hear, say = connection._reader.feed_data, connection._writer.write

    def heard(data: bytes) -> None:
        answers[-1].extend(data)
        hear(data)

    def said(data: bytes) -> None:
        answers.append(bytearray())
        say(data)

    connection._reader.feed_data, connection._writer.write = heard, said
    return answers


def _packet(body: bytes, number: int) -> bytes:
    return len(body).to_bytes(3, "little") + bytes([number & 255]) + body


def _keep(target: Target, what: int, data: bytes, name: str) -> None:
    tables.CORPUS.mkdir(exist_ok=True)
    path = tables.CORPUS / f"{target.name.lower()}-{what}-{name}"
    path.write_bytes(bytes([target, what]) + data)


if __name__ == "__main__":
    asyncio.run(main())
