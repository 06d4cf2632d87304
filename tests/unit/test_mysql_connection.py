"""Reading from a connection that goes bad in ways a real server cannot be made to."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from s3rs_async.config import SourceConfig
from s3rs_async.errors import UnavailableError
from s3rs_async.mysql.border import translated
from s3rs_async.mysql.dial import Connection, dial
from s3rs_async.mysql.receive import Limits, fill
from s3rs_async.mysql.wire import Cutter
from s3rs_async.tunnel import Address

ROW = b"\x02\0\0\x03\x011"


class Wire:
    """Stands for the driver's connection: only its reader is used here."""

    def __init__(self) -> None:
        self._reader = asyncio.StreamReader()


async def test_the_networks_own_time_out_is_an_error_and_not_an_idle_moment() -> None:
    wire: Any = Wire()
    cutter = Cutter(3)
    cutter.feed(ROW)
    wire._reader.set_exception(TimeoutError(110, "Connection timed out"))
    with pytest.raises(UnavailableError, match="timed out"), translated():
        await fill(wire, cutter, Limits())


async def test_an_error_packet_behind_which_nothing_comes_is_found() -> None:
    wire: Any = Wire()
    cutter = Cutter(3)
    body = b"\xff" + (1317).to_bytes(2, "little") + b"#70100stopped"
    wire._reader.feed_data(ROW + len(body).to_bytes(3, "little") + b"\x04" + body)
    with pytest.raises(UnavailableError, match="killed"):
        await fill(wire, cutter, Limits())


@pytest.mark.parametrize("sent", [b"", ROW, ROW[:-1]])
async def test_a_source_that_falls_silent_is_a_lost_connection(sent: bytes) -> None:
    wire: Any = Wire()
    wire._reader.feed_data(sent)
    with pytest.raises(UnavailableError, match=r"silent for 0\.2 s in the middle"), translated():
        await fill(wire, Cutter(3), Limits(silent_seconds=0.2))


async def test_a_source_that_speaks_in_time_is_waited_for_longer() -> None:
    wire: Any = Wire()

    async def speak() -> None:
        for number in range(4):
            await asyncio.sleep(0.2)
            wire._reader.feed_data(ROW[:3] + bytes([3 + number]) + ROW[4:])
        wire._reader.feed_data(b"\x05\0\0\x07\xfe\0\0\2\0")

    cutter = Cutter(3)
    async with asyncio.TaskGroup() as both:
        both.create_task(speak())
        await fill(wire, cutter, Limits(silent_seconds=0.6))
    assert (cutter.done, cutter.take().rows) == (True, 4)


async def test_a_cancellation_that_the_driver_forgets_ends_the_connecting_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def forgetful(_: Connection) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(5)

    monkeypatch.setattr(Connection, "_connect", forgetful)
    config = SourceConfig(host="nowhere", user="x", tls="off")
    connecting = asyncio.get_running_loop().create_task(dial(config, Address("nowhere", 1), {}))
    await asyncio.sleep(1)
    connecting.cancel()
    await asyncio.wait([connecting])
    assert connecting.cancelled()


async def test_a_time_out_that_the_driver_forgets_is_one_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def forgetful(_: Connection) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(50)

    monkeypatch.setattr(Connection, "_connect", forgetful)
    config = SourceConfig(host="nowhere", user="x", tls="off")
    with pytest.raises(UnavailableError):
        await dial(config, Address("nowhere", 1), {})
