"""The floor: a result's bytes read from the socket into one buffer and thrown away.

A blocking socket, no walk of packets, nothing looked at but the last nine bytes read: an EOF packet
there, and nothing behind it, is the end. That the whole result came is known from the number of its
last packet: it counts them all, modulo 256. The driver only logs in and sends the statement.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from typing import Any
from urllib.parse import unquote, urlsplit

import pymysql
from pymysql.constants import COMMAND

from reading.child import Task, Told

_BUFFER = 1 << 20
_EOF_PACKET = 9
_QUIET_SECONDS = 0.5
"""Nothing behind what looks like the end for so long: it was the end. Not counted."""


def text(task: Task) -> Told:
    """The text protocol's bytes."""
    with _connected(task.url) as connection:
        began = time.perf_counter()
        connection._execute_command(COMMAND.COM_QUERY, task.query)  # noqa: SLF001
        return _drained(connection._sock, began, task)  # noqa: SLF001


def binary(task: Task) -> Told:
    """The binary protocol's bytes."""
    with _connected(task.url) as connection:
        began = time.perf_counter()
        connection._execute_command(COMMAND.COM_STMT_PREPARE, task.query)  # noqa: SLF001
        answer = connection._read_packet().get_all_data()  # noqa: SLF001
        _, number, columns, _ = struct.unpack_from("<BIHH", answer)
        for _ in range(columns + 1):
            connection._read_packet()  # noqa: SLF001
        wanted = struct.pack("<IBI", number, 0, 1)
        connection._execute_command(COMMAND.COM_STMT_EXECUTE, wanted)  # noqa: SLF001
        return _drained(connection._sock, began, task)  # noqa: SLF001


def _connected(url: str) -> Any:  # noqa: ANN401 - private parts of it are used
    parts = urlsplit(url)
    return pymysql.connect(
        host=str(parts.hostname),
        port=parts.port or 0,
        user=unquote(str(parts.username)),
        password=unquote(str(parts.password)),
        init_command="SET time_zone = '+00:00'",
    )


def _drained(sock: socket.socket, began: float, task: Task) -> Told:
    buffer = memoryview(bytearray(_BUFFER))
    total, size = 0, sock.recv_into(buffer)
    columns = buffer[4]
    tail = bytes(buffer[max(0, size - _EOF_PACKET) : size])
    while size:
        total += size
        tail = (tail + bytes(buffer[max(0, size - _EOF_PACKET) : size]))[-_EOF_PACKET:]
        if tail[:3] == b"\x05\0\0" and tail[4] == 0xFE:  # noqa: PLR2004 - an EOF packet's
            ended = time.perf_counter()
            if not select.select([sock], [], [], _QUIET_SECONDS)[0]:
                break
        size = sock.recv_into(buffer)
    else:
        raise ConnectionError("the server closed the connection in the middle of a result")
    rows = task.rows if task.limit is None else task.limit
    if tail[3] != (columns + rows + 3) % 256:
        raise ValueError(f"not {rows} rows: the last packet is number {tail[3]}")
    return Told(rows, ended - began, total)
