"""What is sent to ask for rows, and what the server says of them before the first.

Two ways: a text that is run at once, whose rows come in the text protocol; or a prepared statement,
whose rows come in the binary one. A prepared statement is the server's until it is closed or its
connection ends, so whoever has prepared one closes it (`forget`, which nothing answers) unless the
connection goes with it. No cursor is asked for: rows come at once, as a text's do.

The driver's connection sends and receives; a file of ours is refused whoever asks for it. So is
more than a table can have: columns, or the length of their names, which are kept.
"""

from __future__ import annotations

import struct
from typing import Any

from pymysql.constants import COMMAND
from pymysql.protocol import FieldDescriptorPacket

from ..errors import DataError
from .border import understood
from .field import Field

_NO_CURSOR, _ONCE = 0, 1
_MOST_COLUMNS = 4096
_LONGEST_NAME = 1024  # characters; an alias has 256 of them
_PREPARED = struct.Struct("<BIHH")
_RUN = struct.Struct("<IBI")
_FORGET = struct.Struct("<IBI")
_FORGET_LENGTH = 5  # of the packet's body; its three bytes and the number 0 behind them are one int


async def ask(connection: Any, sql: str) -> tuple[Field, ...] | None:  # noqa: ANN401 - untyped driver
    """Run a text; the columns of its result, None if it has none."""
    await connection._execute_command(COMMAND.COM_QUERY, sql)  # noqa: SLF001
    with understood():
        return await _columns(connection)


async def prepare(connection: Any, sql: str) -> int:  # noqa: ANN401 - untyped driver
    """Prepare a statement without placeholders; its number."""
    await connection._execute_command(COMMAND.COM_STMT_PREPARE, sql)  # noqa: SLF001
    with understood():
        answer = (await connection._read_packet()).get_all_data()  # noqa: SLF001
        status, number, columns, places = _PREPARED.unpack_from(answer)
        if status:
            raise DataError("no answer to a prepared statement", where="mysql")
        for count in (places, columns):
            if count:
                await _fields(connection, count)
    if places:
        raise DataError("a statement with placeholders", where="mysql")
    return int(number)


async def execute(connection: Any, number: int) -> tuple[Field, ...] | None:  # noqa: ANN401 - untyped driver
    """Run what was prepared; the columns of its result, None if it has none."""
    wanted = _RUN.pack(number, _NO_CURSOR, _ONCE)
    await connection._execute_command(COMMAND.COM_STMT_EXECUTE, wanted)  # noqa: SLF001
    with understood():
        return await _columns(connection)


def forget(connection: Any, number: int) -> None:  # noqa: ANN401 - untyped driver
    """Close a prepared statement without waiting; a lost connection has closed it."""
    writer = connection._writer  # noqa: SLF001
    if writer is not None and not writer.is_closing():  # uvloop refuses to write to a closed one
        writer.write(_FORGET.pack(_FORGET_LENGTH, COMMAND.COM_STMT_CLOSE, number))


async def _columns(connection: Any) -> tuple[Field, ...] | None:  # noqa: ANN401 - untyped driver
    first = await connection._read_packet()  # noqa: SLF001
    if first.is_ok_packet():
        return None
    if first.is_load_local_packet():
        raise DataError("the source asks for a file of ours", where="mysql")
    return await _fields(connection, first.read_length_encoded_integer())


async def _fields(connection: Any, count: int) -> tuple[Field, ...]:  # noqa: ANN401 - untyped driver
    """So many columns, and the packet that ends them."""
    if count > _MOST_COLUMNS:
        raise DataError("more columns than a table can have", where="mysql", columns=count)
    read = connection._read_packet  # noqa: SLF001
    fields = tuple([_field(await read(FieldDescriptorPacket)) for _ in range(count)])
    if not (await read()).is_eof_packet():
        raise DataError("columns without an end", where="mysql")
    return fields


def _field(packet: Any) -> Field:  # noqa: ANN401 - untyped driver
    if len(packet.name) > _LONGEST_NAME:
        raise DataError("a column's name is too long", where="mysql", characters=len(packet.name))
    return Field(
        packet.name,
        packet.type_code,
        packet.flags,
        packet.length,
        packet.charsetnr,
        packet.scale,
    )
