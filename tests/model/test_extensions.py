"""Chains, overrides, replay and a second pipeline hold as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.model.configurations import EXTENSIONS, Configuration
from tests.model.running import beyond_short, each, prove

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.model


@each(beyond_short(EXTENSIONS))
def test_the_extension_holds(
    configuration: Configuration, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    prove(configuration, tmp_path, request)
