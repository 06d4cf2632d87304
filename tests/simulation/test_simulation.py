"""Seeds of the deterministic simulation: whoever dies when, no row is lost and none doubled.

./dev test -m simulation -n0 -s      ten thousand seeds and the naive variants; prints the figures
python -m tests.simulation.run SEED 1 --verbose     plays one again, with all that happens in it
"""

from __future__ import annotations

import pytest

from tests.simulation.figures import Figures, played

SHORT = 2_000
LONG = 10_000
LEAST_KILLS = 10_000
REGRESSIONS = (10, 157, 252)
"""Seeds that once broke a rule, of the product or of its naive variants."""


def _hold(figures: Figures, least_kills: int) -> None:
    print("\n".join(["", *figures.lines()]))  # noqa: T201 - the figures are the result
    assert figures.broken == {}, f"play one: python -m tests.simulation.run {min(figures.broken)} 1"
    assert figures.tally["kills"] >= least_kills


@pytest.mark.timeout(900)
def test_two_thousand_seeds_lose_and_double_nothing() -> None:
    _hold(played(0, SHORT), SHORT)


@pytest.mark.simulation
@pytest.mark.timeout(3600)
def test_ten_thousand_seeds_lose_and_double_nothing() -> None:
    _hold(played(SHORT, LONG), LEAST_KILLS)


def test_seeds_that_once_broke_a_rule_break_none() -> None:
    for seed in REGRESSIONS:
        assert played(seed, 1).broken == {}


def test_a_seed_plays_the_same_whatever_the_process() -> None:
    one, two = (played(0, 40, "--digests", hash_seed=salt) for salt in ("1", "77"))
    later = played(20, 20, "--digests", hash_seed="5")
    assert one.digests == two.digests
    assert later.digests.items() <= one.digests.items()
    assert len(set(one.digests.values())) == len(one.digests)
