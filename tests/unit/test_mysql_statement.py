"""Asking for rows on a connection whose other end says what the test wants it to say."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import pymysql.err
import pytest
from pymysql.constants import COMMAND, FIELD_TYPE

from s3rs_async.errors import DataError, Error, UnavailableError
from s3rs_async.mysql import statement
from s3rs_async.mysql.border import is_refusal
from s3rs_async.mysql.connection import Session
from s3rs_async.mysql.dial import Connection
from s3rs_async.mysql.protocol import Choice, Protocol
from s3rs_async.mysql.receive import Limits

EOF = b"\xfe\0\0\x02\0"
REFUSED = b"\xff" + (1461).to_bytes(2, "little") + b"#42000no room for it"
KILLED = b"\xff" + (1317).to_bytes(2, "little") + b"#70100stopped"
PREPARED = struct.pack("<BIHHBH", 0, 7, 1, 0, 0, 0)


def column(name: bytes = b"c") -> bytes:
    texts = [b"def", b"", b"", b"", name, name]
    head = b"".join(b"\xfc" + len(text).to_bytes(2, "little") + text for text in texts)
    return head + struct.pack("<BHIBHBH", 12, 63, 11, FIELD_TYPE.LONG, 0, 0, 0)


class Writer:
    """What is written, each command of which has its answer unless nobody answers such."""

    def __init__(self, reader: asyncio.StreamReader, answers: list[list[bytes]]) -> None:
        self.sent = b""
        self.closing = False
        self.transport = self
        self._reader = reader
        self._answers = answers

    def write(self, data: bytes) -> None:
        assert not self.closing
        self.sent += data
        if data[4] != COMMAND.COM_STMT_CLOSE:
            for number, body in enumerate(self._answers.pop(0), 1):
                self._reader.feed_data(len(body).to_bytes(3, "little") + bytes([number]) + body)

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.closing = True

    close = abort

    def commands(self) -> list[tuple[int, bytes]]:
        """The commands sent so far, and what they were about; each begins its own numbering."""
        found, rest = [], self.sent
        while rest:
            length = int.from_bytes(rest[:3], "little")
            assert rest[3] == 0
            found.append((rest[4], rest[5 : 4 + length]))
            rest = rest[4 + length :]
        return found


Opened = Callable[..., Session]


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    """A way to open sessions whose commands have these answers, each numbered from 1."""
    connections = []

    def session(wanted: Any, *answers: list[bytes]) -> Session:
        connection = Connection(host="nowhere", user="u", charset="utf8mb4")
        connection._reader = asyncio.StreamReader()
        connection._writer = Writer(connection._reader, list(answers))
        connections.append(connection)
        return Session(connection, {}, Choice("s", wanted))

    yield session
    for connection in connections:
        connection.close()


async def rows(session: Session) -> int:
    return sum([packets.rows async for packets in session.rows("SELECT 1")])


BINARY_ROWS = [b"\1", column(), EOF, b"\0\0\1\0\0\0", EOF]
TEXT_ROWS = [b"\1", column(), EOF, b"\x011", b"\x012", EOF]


async def test_rows_are_prepared_run_without_a_cursor_and_closed(opened: Opened) -> None:
    session = opened("auto", [PREPARED, column(), EOF], BINARY_ROWS)
    assert await rows(session) == 1
    assert session.connection._writer.commands() == [
        (COMMAND.COM_STMT_PREPARE, b"SELECT 1"),
        (COMMAND.COM_STMT_EXECUTE, struct.pack("<IBI", 7, 0, 1)),
        (COMMAND.COM_STMT_CLOSE, struct.pack("<I", 7)),
    ]
    assert session.protocol is Protocol.BINARY
    assert not session.busy


async def test_a_statement_without_a_result_is_closed_too(opened: Opened) -> None:
    session = opened("auto", [PREPARED, column(), EOF], [b"\0\0\0\2\0\0\0"])
    assert await rows(session) == 0
    assert session.connection._writer.commands()[-1][0] == COMMAND.COM_STMT_CLOSE
    assert not session.busy


async def test_a_refused_statement_is_asked_as_text_and_not_prepared_again(opened: Opened) -> None:
    session = opened("auto", [REFUSED], TEXT_ROWS, TEXT_ROWS)
    assert await rows(session) == await rows(session) == 2
    sent = [command for command, _ in session.connection._writer.commands()]
    assert sent == [COMMAND.COM_STMT_PREPARE, COMMAND.COM_QUERY, COMMAND.COM_QUERY]
    assert session.protocol is Protocol.TEXT


async def test_what_was_prepared_and_cannot_be_run_is_closed_before_it_is_asked_as_text(
    opened: Opened,
) -> None:
    session = opened("auto", [PREPARED, column(), EOF], [REFUSED], TEXT_ROWS)
    assert await rows(session) == 2
    sent = [command for command, _ in session.connection._writer.commands()]
    assert sent == [
        COMMAND.COM_STMT_PREPARE,
        COMMAND.COM_STMT_EXECUTE,
        COMMAND.COM_STMT_CLOSE,
        COMMAND.COM_QUERY,
    ]


async def test_a_refusal_is_an_error_where_nothing_but_binary_will_do(opened: Opened) -> None:
    session = opened("binary", [REFUSED])
    with pytest.raises(Error, match="code=1461"):
        await rows(session)
    assert not session.busy


async def test_what_has_another_cause_is_not_asked_as_text(opened: Opened) -> None:
    session = opened("auto", [PREPARED, column(), EOF], [KILLED])
    with pytest.raises(UnavailableError, match="killed"):
        await rows(session)
    sent = [command for command, _ in session.connection._writer.commands()]
    assert sent[-1] == COMMAND.COM_STMT_CLOSE
    assert not session.busy


async def test_a_text_that_is_refused_too_leaves_prepared_statements_alone(opened: Opened) -> None:
    session = opened("auto", [REFUSED], [REFUSED], [PREPARED, column(), EOF], BINARY_ROWS)
    with pytest.raises(Error, match="code=1461"):
        await rows(session)
    assert await rows(session) == 1
    assert session.protocol is Protocol.BINARY


async def test_an_error_among_the_rows_takes_the_connection_with_it(opened: Opened) -> None:
    broken = [*BINARY_ROWS[:-1], KILLED]
    session = opened("auto", [PREPARED, column(), EOF], broken)
    with pytest.raises(UnavailableError, match="killed"):
        await rows(session)
    assert session.busy
    assert session.connection._writer is None or session.connection._writer.closing


@pytest.mark.parametrize("answers", [[[]], [[PREPARED, column(), EOF], []]])
async def test_no_answer_before_the_first_row_is_a_lost_connection(
    opened: Opened, answers: list[list[bytes]]
) -> None:
    session = opened("auto", *answers)
    session._limits = Limits(answer_seconds=0.2)
    with pytest.raises(UnavailableError, match=r"silent for 0\.2 s before the first row"):
        await rows(session)
    assert session.busy


async def test_a_closed_connection_is_not_told_to_forget(opened: Opened) -> None:
    connection = opened("auto").connection
    connection._writer.closing = True
    statement.forget(connection, 7)
    assert connection._writer.sent == b""


@pytest.mark.parametrize(
    "answer",
    [
        b"\0\7",
        b"\1" + PREPARED[1:],
        b"",
        b"\0" * 7,
    ],
)
async def test_an_answer_that_prepares_nothing_is_an_error(opened: Opened, answer: bytes) -> None:
    with pytest.raises(DataError):
        await rows(opened("auto", [answer]))


async def test_a_statement_with_places_to_fill_is_refused(opened: Opened) -> None:
    asked = struct.pack("<BIHHBH", 0, 7, 0, 1, 0, 0)
    with pytest.raises(DataError, match="placeholders"):
        await rows(opened("auto", [asked, column(), EOF]))


@pytest.mark.parametrize(
    "answer",
    [
        [b""],
        [b"\xfb/etc/passwd"],
        [b"\xfc\xff\xff"],
        [b"\xfc\1"],
        [b"\xfe\0"],
        [b"\1", b"\3de"],
        [b"\1", column()[:-4]],
        [b"\1", b"\3def\0\0\0\xff"],
        [b"\1", column(b"\xff\xfe"), EOF],
        [b"\1", column(), b"\0\0"],
        [b"\1", column(), b""],
        [b"\1", column(b"c" * 1025), EOF],
    ],
)
async def test_an_answer_that_cannot_be_read_is_an_error_of_ours(
    opened: Opened, answer: list[bytes]
) -> None:
    prepared = [PREPARED, column(), EOF]
    for session in (opened("text", answer), opened("auto", prepared, answer)):
        with pytest.raises(DataError):
            await rows(session)


@pytest.mark.parametrize(
    ("error", "refusal"),
    [
        (pymysql.err.OperationalError(1461, "no room"), True),
        (pymysql.err.NotSupportedError(1295, "not in this protocol"), True),
        (pymysql.err.OperationalError(1047, "unknown command"), True),
        (pymysql.err.OperationalError(9001, "a proxy's own words"), True),
        (pymysql.err.OperationalError(1317, "killed"), False),
        (pymysql.err.OperationalError(2013, "lost"), False),
        (pymysql.err.OperationalError(2027, "malformed packet"), False),
        (pymysql.err.OperationalError(4031, "idle for too long"), False),
        (pymysql.err.InterfaceError(0, "not connected"), False),
        (pymysql.err.InternalError("out of step"), False),
        (pymysql.err.MySQLError(), False),
    ],
)
def test_a_refusal_comes_from_a_server_that_is_well(
    error: pymysql.err.MySQLError, refusal: bool
) -> None:
    assert is_refusal(error) is refusal
