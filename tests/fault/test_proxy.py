"""The TCP proxy: each toxic does what it says to the bytes of one direction, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from s3rs_async.sandbox.faults import (
    DOWN,
    UP,
    Bandwidth,
    Blackhole,
    Corrupt,
    HalfClose,
    Keep,
    Latency,
    Proxy,
    Reset,
    Slice,
    proxy,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BYTES = hashlib.shake_256(b"proxy").digest(200_000)


@dataclass
class Echo:
    """A server that sends back what it hears, and remembers the pieces it heard."""

    port: int = 0
    heard: list[bytes] = field(default_factory=list)
    ends: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(65_536):
                self.heard.append(piece)
                writer.write(piece)
                await writer.drain()
            self.ends.put_nowait("closed")
        except OSError:
            self.ends.put_nowait("reset")
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def way(seed: int = 0) -> AsyncIterator[tuple[Proxy, Echo]]:
    echo = Echo()
    async with await asyncio.start_server(echo.serve, "127.0.0.1", 0) as server:
        echo.port = server.sockets[0].getsockname()[1]
        async with asyncio.timeout(20), proxy("127.0.0.1", echo.port, seed=seed) as running:
            yield running, echo


async def said(running: Proxy, data: bytes, *, count: int | None = None) -> bytes:
    """Say something and end; all that came back, or so many bytes of it."""
    reader, writer = await asyncio.open_connection(*running.address)
    try:
        writer.write(data)
        if count is not None:
            return await reader.readexactly(count)
        writer.write_eof()
        return await reader.read()
    finally:
        writer.close()


async def test_without_toxics_every_byte_and_the_end_go_through() -> None:
    async with way() as (running, echo):
        assert await said(running, BYTES) == BYTES
        assert await echo.ends.get() == "closed"
        assert running.passed == {UP: len(BYTES), DOWN: len(BYTES)}
        assert running.connections == 1


@pytest.mark.parametrize("at", [0, 1, 65_535, 65_536, 65_537, 199_999])
async def test_a_reset_comes_after_exactly_so_many_bytes_and_once(at: int) -> None:
    async with way() as (running, echo):
        placed = running.put(Reset(at), UP)
        with pytest.raises(OSError):  # noqa: PT011 - reset, or a broken pipe
            await said(running, BYTES, count=len(BYTES))
        assert placed.met.is_set()
        assert await echo.ends.get() == "reset"
        assert running.passed[UP] == at
        assert await said(running, BYTES) == BYTES


async def test_bytes_are_counted_over_connections() -> None:
    async with way() as (running, _):
        running.put(Reset(250_000), DOWN)
        assert await said(running, BYTES) == BYTES
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await said(running, BYTES, count=len(BYTES))
        assert running.passed[DOWN] == 250_000


async def test_a_half_close_ends_one_direction_and_leaves_the_other() -> None:
    async with way() as (running, echo):
        running.put(HalfClose(1_000), DOWN)
        assert await said(running, BYTES) == BYTES[:1_000]
        assert await echo.ends.get() == "closed"
        assert b"".join(echo.heard) == BYTES


async def test_a_blackhole_tells_nobody() -> None:
    async with way() as (running, echo):
        running.put(Blackhole(5), DOWN)
        reader, writer = await asyncio.open_connection(*running.address)
        writer.write(b"0123456789")
        assert await reader.readexactly(5) == b"01234"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await reader.read()
        writer.close()
        assert b"".join(echo.heard) == b"0123456789"


@pytest.mark.parametrize("at", [0, 70_000, 199_999])
async def test_corruption_changes_one_byte_and_nothing_else(at: int) -> None:
    async with way() as (running, _):
        running.put(Corrupt(at), UP)
        found = await said(running, BYTES)
        assert [i for i, (a, b) in enumerate(zip(found, BYTES, strict=True)) if a != b] == [at]
        assert found[at] == BYTES[at] ^ 0xFF


async def test_slices_are_small_and_the_same_for_a_seed() -> None:
    cuts = []
    for seed in (7, 7, 8):
        async with way(seed) as (running, _):
            placed = running.put(Slice(900), UP)
            pieces, ending = await placed.treat(BYTES[:65_536], None)
            assert ending is None
            assert b"".join(pieces) == BYTES[:65_536]
            cuts.append([len(piece) for piece in pieces])
            assert await said(running, BYTES) == BYTES
    assert cuts[0] == cuts[1] != cuts[2]
    assert 1 <= min(cuts[0]) < max(cuts[0]) <= 900


async def test_latency_and_bandwidth_take_their_time() -> None:
    async with way() as (running, _):
        running.put(Latency(0.1), UP)
        running.put(Bandwidth(100_000), DOWN)
        began = time.monotonic()
        assert await said(running, BYTES[:20_000]) == BYTES[:20_000]
        assert 0.3 <= time.monotonic() - began < 2


async def test_kept_answers_are_told_and_come_when_they_are_let() -> None:
    async with way() as (running, echo):
        kept = running.put(Keep(), DOWN)
        async with asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(said(running, b"commit"))
            await kept.met.wait()
            assert echo.heard == [b"commit"]
            assert not asked.done()
            kept.lift()
        assert asked.result() == b"commit"


async def test_an_end_is_kept_with_the_bytes() -> None:
    async with way() as (running, echo):
        reader, writer = await asyncio.open_connection(*running.address)
        writer.write(b"begin")
        assert await reader.readexactly(5) == b"begin"
        kept = running.put(Keep(), UP)
        writer.transport.abort()
        await asyncio.sleep(0.1)
        assert echo.ends.empty()
        kept.lift()
        assert await echo.ends.get() == "closed"


async def test_a_cut_resets_both_ends_of_all_connections() -> None:
    async with way() as (running, echo):
        open_ones = [await asyncio.open_connection(*running.address) for _ in range(3)]
        for reader, writer in open_ones:
            writer.write(b"x")
            assert await reader.readexactly(1) == b"x"
        assert running.cut() == 3
        for reader, writer in open_ones:
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()
        assert [await echo.ends.get() for _ in range(3)] == ["reset"] * 3
        assert await said(running, BYTES) == BYTES


async def test_a_server_that_refuses_is_a_reset() -> None:
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
    async with asyncio.timeout(5), proxy("127.0.0.1", port) as running:
        with pytest.raises(OSError):  # noqa: PT011
            await said(running, b"hello", count=1)


async def test_what_is_healed_is_whole_again_and_the_block_ends_what_is_left() -> None:
    async with way() as (running, _):
        running.put(Keep(), DOWN)
        running.put(Corrupt(3), UP)
        running.heal()
        assert await said(running, BYTES) == BYTES
        running.put(Keep(), DOWN)
        reader, writer = await asyncio.open_connection(*running.address)
        writer.write(b"never answered")
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()
