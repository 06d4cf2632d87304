"""What `./dev bench read` says of a goal: met, not met, or not measured and why."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "bench"))

from reading.contestants import CONTESTANTS, Figure, figure
from reading.goals import goals
from reading.run import Run

MIB = 1 << 20
SECONDS = {
    "drain-binary": 1.0,
    "decode-binary": 1.05,
    "job": 1.6,
    "connectorx": 2.0,
    "aiomysql": 20.0,
    "dlt": 3.0,
    "sling-csv": 17.0,
}


def figures(**failures: str) -> dict[str, Figure]:
    found = {}
    for contestant in CONTESTANTS:
        seconds = SECONDS.get(contestant.name, 2.0)
        run = Run(1_000_000, seconds, cpu_seconds=seconds, peak_bytes=300 * MIB)
        failure = failures.get(contestant.name.replace("-", "_"), "")
        runs = [Run(failure=failure)] if failure else [run, run]
        found[contestant.name] = figure(contestant, runs)
    return found


def test_a_goal_tells_what_was_measured_and_whether_it_is_met() -> None:
    told = [str(goal) for goal in goals(figures(sling="no wheel"), "wide")]

    assert told == [
        "decode-binary, rows/s as those of drain-binary: ≥ 0.92  0.95  met",
        "decode-binary, rows/s as those of connectorx: ≥ 1.5  1.90  met",
        "decode-binary, client CPU as that of connectorx: ≤ 0.55  0.53  met",
        "decode-binary, rows/s as those of aiomysql: ≥ 18  19.05  met",
        "job, rows/s as those of drain-binary: ≥ 0.52  0.62  met",
        "job, CPU seconds per million rows: ≤ 4  1.60  met",
        "job, client CPU as that of connectorx: ≤ 1.08  0.80  met",
        "job, rows/s as those of dlt: ≥ 1.5  1.88  met",
        "job, rows/s as those of sling-csv: ≥ 10  10.62  met",
        "job, peak RSS in MiB: ≤ 450  300.00  met",
    ]


def test_the_narrow_tables_goals_are_its_own() -> None:
    missed = [goal.name for goal in goals(figures(sling="no wheel"), "narrow") if not goal.met]

    assert missed == [
        "job, rows/s as those of drain-binary",
        "job, CPU seconds per million rows",
        "job, rows/s as those of dlt",
        "job, peak RSS in MiB",
    ]


def test_a_goal_whose_peer_does_not_run_is_neither_met_nor_missed() -> None:
    found = goals(figures(connectorx="no wheel"), "wide")

    unknown = [goal for goal in found if goal.met is None]
    assert len(unknown) == 3
    assert all(
        str(goal).endswith("(connectorx arrow did not come through: no wheel)  not measured")
        for goal in unknown
    )


def test_figures_are_medians_but_the_greatest_peak() -> None:
    contestant = CONTESTANTS[0]
    runs = [Run(10, seconds, peak_bytes=peak) for seconds, peak in ((3.0, 5), (1.0, 9), (2.0, 7))]

    found = figure(contestant, runs)

    assert (found.run.seconds, found.run.peak_bytes, found.runs) == (2.0, 9, 3)
