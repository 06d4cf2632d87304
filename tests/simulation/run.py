"""`python -m tests.simulation.run FIRST COUNT`: plays seeds, tells the figures as one line of JSON.

With `--until-broken` it ends at the first seed that breaks a rule; with `--verbose` it prints what
happened in each. It runs on whatever package is found first: the project's, or a copy with a patch.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field

import structlog

from tests.simulation.caches import remember
from tests.simulation.scenario import play

_SILENT = 50
_SEEDS_PER_COLLECTION = 25


@dataclass(slots=True)
class Sum:
    """What some seeds come to."""

    seeds: int = 0
    simulated: float = 0.0
    rows: int = 0
    steps: int = 0
    tally: Counter[str] = field(default_factory=Counter)
    broken: dict[int, str] = field(default_factory=dict)
    digests: dict[int, str] = field(default_factory=dict)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--until-broken", action="store_true")
    parser.add_argument("--digests", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Play them."""
    asked = _arguments()
    silent = structlog.make_filtering_bound_logger(_SILENT)
    structlog.configure(wrapper_class=silent, cache_logger_on_first_use=True)
    remember()
    gc.freeze()
    gc.disable()  # what a seed leaves behind is thrown away between seeds
    total, since = Sum(), time.process_time()
    for seed in range(asked.first, asked.first + asked.count):
        result = play(seed, told=asked.verbose or asked.digests)
        total.seeds += 1
        total.simulated += result.seconds
        total.rows += result.rows
        total.steps += result.steps
        total.tally += result.tally
        if asked.digests:
            total.digests[seed] = result.digest
        if result.broken:
            total.broken[seed] = result.broken
            if result.cause is not None and asked.verbose:
                traceback.print_exception(result.cause)
        if asked.verbose:
            sys.stderr.write("\n".join(result.trace) + f"\n{result.broken}\n")
        if result.broken and asked.until_broken:
            break
        if seed % _SEEDS_PER_COLLECTION == 0:
            gc.collect(0)  # what came before has been looked at and is kept
    figures = {
        "seeds": total.seeds,
        "cpu": time.process_time() - since,
        "simulated": total.simulated,
        "rows": total.rows,
        "steps": total.steps,
        "tally": total.tally,
        "broken": total.broken,
        "digests": total.digests,
    }
    print(json.dumps(figures))  # noqa: T201 - it is read by whoever started us


if __name__ == "__main__":
    main()
