"""A session that the server ends while nothing is asked: its last words come before its end."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from s3rs_async.config import TargetConfig
from s3rs_async.errors import UnavailableError, UnknownOutcomeError
from s3rs_async.redshift import sql
from s3rs_async.redshift.connection import Session, Target, open_target
from s3rs_async.sandbox.faults import DOWN, Blackhole, Proxy, proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from s3rs_async.sandbox import Box


async def _until(happened: Callable[[], bool]) -> None:
    for _ in range(2000):
        if happened():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not happen")


async def _ended(target: Target, session: Session) -> None:
    async with target.session() as other:
        assert await other.value(sql.TERMINATE, session.backend_pid)


async def _last_words(way: Proxy, through: Target, direct: Target) -> int:
    """How many bytes the server says to a session that it ends."""
    async with through.session() as session:
        before = way.passed[DOWN]
        await _ended(direct, session)
        await _until(session._connection.is_closed)
        return way.passed[DOWN] - before


@asynccontextmanager
async def _endless(box: Box) -> AsyncIterator[Session]:
    """A session in a transaction, of whose end only the words have come."""
    declared = box.connections["targets"]["standin"]
    plain = {**declared, "host": "127.0.0.1", "port": box.redshift.port, "tls": "off"}
    config = TargetConfig.model_validate({**plain, "tunnel": None})
    async with proxy("127.0.0.1", box.redshift.port) as way:
        near: Any = config.model_copy(update={"port": way.port})
        async with (
            open_target("standin", near) as through,
            open_target("standin", config) as direct,
        ):
            size = await _last_words(way, through, direct)
            async with through.session() as session:
                await session.execute(sql.BEGIN)
                before = way.passed[DOWN]
                way.put(Blackhole(size), DOWN)
                await _ended(direct, session)
                await _until(lambda: way.passed[DOWN] == before + size)
                await asyncio.sleep(0.1)
                assert not session._connection.is_closed()
                yield session


async def test_what_is_asked_then_finds_the_target_away(box: Box) -> None:
    async with _endless(box) as session:
        with pytest.raises(UnavailableError):
            await session.value("SELECT 1")


async def test_what_a_commit_did_then_is_not_known(box: Box) -> None:
    async with _endless(box) as session:
        with pytest.raises(UnknownOutcomeError):
            await session.commit()
