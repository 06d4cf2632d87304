"""Reading from a connection that goes bad in ways a real server cannot be made to."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from s3rs_async.errors import UnavailableError
from s3rs_async.mysql.border import translated
from s3rs_async.mysql.connection import Session
from s3rs_async.mysql.wire import Cutter

ROW = b"\x02\0\0\x03\x011"


class Wire:
    """Stands for the driver's connection: only its reader is used here."""

    def __init__(self) -> None:
        self._reader = asyncio.StreamReader()


async def test_the_networks_own_time_out_is_an_error_and_not_an_idle_moment() -> None:
    wire: Any = Wire()
    session, cutter = Session(wire, {}), Cutter(3)
    cutter.feed(ROW)
    wire._reader.set_exception(TimeoutError(110, "Connection timed out"))
    with pytest.raises(UnavailableError, match="timed out"), translated():
        await session._fill(cutter)


async def test_an_error_packet_behind_which_nothing_comes_is_found() -> None:
    wire: Any = Wire()
    session, cutter = Session(wire, {}), Cutter(3)
    body = b"\xff" + (1317).to_bytes(2, "little") + b"#70100stopped"
    wire._reader.feed_data(ROW + len(body).to_bytes(3, "little") + b"\x04" + body)
    with pytest.raises(UnavailableError, match="killed"):
        await session._fill(cutter)
