"""A town for the cells of one file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from tests.crash.town import Town, town_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from s3rs_async.sandbox import Box


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(box: Box) -> AsyncIterator[Town]:
    async with town_in(box) as made:
        yield made
