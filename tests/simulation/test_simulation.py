"""Seeds of the deterministic simulation: whoever dies when, no row is lost and none doubled.

./dev test -m simulation      ten thousand seeds and the naive variants; the figures at the end
python -m tests.simulation.run SEED 1 --verbose     plays one again, with all that happens in it
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulation.figures import Figures, played, read, report, told

Record = Callable[[str, object], None]
SHORT = 2_000
LONG = 10_000
LEAST_KILLS = 10_000
REGRESSIONS = (10, 157, 252)
"""Seeds that once broke a rule, of the product or of its naive variants."""


def _hold(figures: Figures, least_kills: int, record: Record) -> None:
    record(*told(f"{figures.seeds} seeds", figures.lines()))
    assert figures.broken == {}, f"play one: python -m tests.simulation.run {min(figures.broken)} 1"
    assert figures.tally["kills"] >= least_kills


@pytest.mark.timeout(900)
def test_two_thousand_seeds_lose_and_double_nothing(record_property: Record) -> None:
    _hold(played(0, SHORT), SHORT, record_property)


@pytest.mark.simulation
@pytest.mark.timeout(3600)
def test_ten_thousand_seeds_lose_and_double_nothing(record_property: Record) -> None:
    _hold(played(SHORT, LONG), LEAST_KILLS, record_property)


def test_the_figures_are_told_at_the_end() -> None:
    figures = Figures(seeds=4, seconds=2.0, cpu=1.0, broken={"3": "A1 lost: [1]"})
    shown = report(read([("other", "no"), told("4 seeds", figures.lines())]))
    assert "4 seeds      seeds: 4 in 2.0 s, 2.0 a second" in shown.splitlines()
    assert "rows lost: 1, doubled: 0, any rule broken: 1" in shown


def test_seeds_that_once_broke_a_rule_break_none() -> None:
    for seed in REGRESSIONS:
        assert played(seed, 1).broken == {}


def test_a_seed_plays_the_same_whatever_the_process() -> None:
    one, two = (played(0, 40, "--digests", hash_seed=salt) for salt in ("1", "77"))
    later = played(20, 20, "--digests", hash_seed="5")
    assert one.digests == two.digests
    assert later.digests.items() <= one.digests.items()
    assert len(set(one.digests.values())) == len(one.digests)
