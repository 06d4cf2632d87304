"""Every naive variant of the protocol is caught."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.model.configurations import NAIVE, Configuration
from tests.model.running import beyond_short, each, prove

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.model


@each(beyond_short(NAIVE))
def test_the_naive_variant_is_caught(
    configuration: Configuration, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    prove(configuration, tmp_path, request)
