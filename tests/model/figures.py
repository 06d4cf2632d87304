"""What the model's runs have come to, told at the end as a table."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.model.checker import Outcome
    from tests.model.configurations import Configuration

PROPERTY = "model"


def told(configuration: Configuration, outcome: Outcome) -> tuple[str, str]:
    """A run's figures as a property of its test."""
    facts = {
        "name": configuration.name,
        "flags": " ".join(configuration.flags),
        "verdict": outcome.verdict,
        "reason": outcome.reason,
        "states": outcome.states,
        "seconds": round(outcome.seconds, 1),
        "build": round(outcome.build_seconds, 1),
        "megabytes": outcome.megabytes,
    }
    return PROPERTY, json.dumps(facts)


def read(properties: Sequence[tuple[str, object]]) -> list[dict[str, Any]]:
    """The figures among all properties of a run."""
    return [json.loads(str(value)) for name, value in properties if name == PROPERTY]


def report(runs: Sequence[dict[str, Any]]) -> str:
    """The table: each configuration, its verdict, and what the search took."""
    lines = [f"{'configuration':32} {'verdict':9} {'states':>12} {'CPU s':>6} {'MB':>5}  flags"]
    lines += [
        f"{run['name']:32} {run['verdict']:9} {run['states']:12,} {run['seconds']:6.1f}"
        f" {run['megabytes']:5}  {run['flags']}"
        for run in sorted(runs, key=lambda run: (run["verdict"], run["name"]))
    ]
    by_verdict = {run["verdict"] for run in runs}
    counts = ", ".join(
        f"{sum(run['verdict'] == verdict for run in runs)} {verdict}"
        for verdict in sorted(by_verdict)
    )
    searched = sum(run["seconds"] for run in runs)
    built = sum(run["build"] for run in runs)
    lines.append(
        f"{counts}; {sum(run['states'] for run in runs):,} states,"
        f" {searched:.0f} s of search and {built:.0f} s of building, {os.cpu_count()} cores"
    )
    return "\n".join(lines)
