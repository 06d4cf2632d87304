"""What every test of a configuration does, and how long it may take on any machine."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.model import checker, figures
from tests.model.configurations import SHORT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.model.configurations import Configuration

_PATIENCE = 1800.0
"""Seconds after which a test ends though the machine be busy; a search is held by its own limit."""


def each(configurations: Iterable[Configuration]) -> Any:
    """A test for each of the configurations, with its own time."""
    return pytest.mark.parametrize(
        "configuration",
        [
            pytest.param(one, id=str(one), marks=pytest.mark.timeout(_PATIENCE))
            for one in configurations
        ],
    )


def beyond_short(configurations: Iterable[Configuration]) -> list[Configuration]:
    """Those that the short set, which runs beside them, has not."""
    return [one for one in configurations if one not in SHORT]


def prove(configuration: Configuration, folder: Path, request: pytest.FixtureRequest) -> None:
    """The search's verdict is the expected one, and its figures are told."""
    checker.need_tools()
    try:
        outcome = checker.check(configuration, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    request.node.user_properties.append(figures.told(configuration, outcome))
    assert outcome.verdict == configuration.expected, outcome.reason
