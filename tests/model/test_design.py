"""The page's protocol holds in every configuration that is searched whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.model.configurations import PROTOCOL, Configuration
from tests.model.running import beyond_short, each, prove

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.model


@each(beyond_short(PROTOCOL))
def test_the_protocol_holds(
    configuration: Configuration, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    prove(configuration, tmp_path, request)
