"""Each naive variant of the protocol is found out, so the rules see what they are meant to see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import s3rs_async
from tests.simulation.figures import played, told
from tests.simulation.mutants import MUTANTS, Edit, Mutant, mutated

PACKAGE = Path(s3rs_async.__file__).parent
LONG = 10_000


@pytest.mark.simulation
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", MUTANTS)
def test_a_naive_variant_is_found(
    name: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    figures = played(0, LONG, "--until-broken", root=mutated(MUTANTS[name], PACKAGE, tmp_path))
    found = next(iter(figures.broken.values()), "nothing")
    record_property(*told(name, [f"found after {figures.seeds} seeds: {found}"]))
    assert figures.broken


@pytest.mark.parametrize("name", MUTANTS)
def test_a_naive_variant_still_applies(name: str, tmp_path: Path) -> None:
    mutated(MUTANTS[name], PACKAGE, tmp_path)


def test_a_patch_that_no_longer_applies_is_an_error(tmp_path: Path) -> None:
    gone = Mutant("none", (Edit("clock.py", "no such text", ""),))
    with pytest.raises(LookupError, match="0 times"):
        mutated(gone, PACKAGE, tmp_path)
