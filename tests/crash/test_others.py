"""Crashes at every step of s3clean, and of what a person does to a state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.crash import figures, matrix
from tests.crash.cell import live

if TYPE_CHECKING:
    from tests.crash.matrix import Cell
    from tests.crash.town import Town

STEPS = "GR"

pytestmark = [pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.parametrize("cell", matrix.short(STEPS), ids=str)
async def test_a_crash_is_made_good(
    town: Town, cell: Cell, record_property: pytest.FixtureRequest
) -> None:
    record_property(*figures.told(cell, 0, await live(town, cell, 0)))


@pytest.mark.crash
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("cell", matrix.applicable(STEPS), ids=str)
async def test_any_crash_is_made_good(
    town: Town, cell: Cell, seed: int, record_property: pytest.FixtureRequest
) -> None:
    record_property(*figures.told(cell, seed, await live(town, cell, seed)))
