"""Connecting by a driver that forgets what it was told on the way."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from s3rs_async.config import SourceConfig
from s3rs_async.errors import UnavailableError
from s3rs_async.mysql.dial import Connection, dial
from s3rs_async.tunnel import Address


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
