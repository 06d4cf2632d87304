"""The two tests that each part of the matrix has; parts are files, so that workers share them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.crash import figures, matrix
from tests.crash.cell import live

if TYPE_CHECKING:
    from tests.crash.matrix import Cell
    from tests.crash.town import Town


def parts_of(steps: str) -> tuple[Any, Any]:
    """The short set of the steps' cells, and all of them on two seeds; `live` is what asserts."""

    @pytest.mark.parametrize("cell", matrix.short(steps), ids=str)
    async def short(town: Town, cell: Cell, record_property: Any) -> None:
        record_property(*figures.told(cell, 0, await live(town, cell, 0)))

    @pytest.mark.crash
    @pytest.mark.parametrize("seed", [0, 1])
    @pytest.mark.parametrize("cell", matrix.applicable(steps), ids=str)
    async def whole(town: Town, cell: Cell, seed: int, record_property: Any) -> None:
        record_property(*figures.told(cell, seed, await live(town, cell, seed)))

    return short, whole
