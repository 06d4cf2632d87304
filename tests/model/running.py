"""What every test of a configuration does, and how long it may take."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.model import checker, figures

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.model.configurations import Configuration

_BUILD = 120.0
"""Seconds that a build may take on a busy machine."""


def each(configurations: Iterable[Configuration]) -> Any:
    """A test for each of the configurations, with its own time."""
    return pytest.mark.parametrize(
        "configuration",
        [
            pytest.param(one, id=str(one), marks=pytest.mark.timeout(one.limit + _BUILD))
            for one in configurations
        ],
    )


def prove(configuration: Configuration, folder: Path, request: pytest.FixtureRequest) -> None:
    """The search's verdict is the expected one, and its figures are told."""
    checker.need_tools()
    try:
        outcome = checker.check(configuration, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    request.node.user_properties.append(figures.told(configuration, outcome))
    assert outcome.verdict == configuration.expected, outcome.reason
