"""Seeds played by several processes at once, and what they come to, told at the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PROPERTY = "simulation"
HERE = Path(__file__).parents[2]
CORES = min(os.cpu_count() or 1, 8)


@dataclass(slots=True)
class Figures:
    """What some seeds came to; `seconds` are the wall clock's, `cpu` those of all processors."""

    seeds: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    simulated: float = 0.0
    rows: int = 0
    tally: Counter[str] = field(default_factory=Counter)
    broken: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """For people."""
        tally = self.tally
        faults = sum(tally[name] for name in _FAULTS)
        lost = sum("lost" in word for word in self.broken.values())
        rate = self.seeds / self.seconds
        broken, speed = len(self.broken), self.simulated / self.seconds
        doubled = sum("doubled" in word for word in self.broken.values())
        return [
            f"seeds: {self.seeds} in {self.seconds:.1f} s, {rate:.1f} a second",
            f"processor: {self.cpu:.1f} s, {self.seeds / self.cpu:.1f} seeds a second of one core",
            f"kills: {tally['kills']}, stops: {tally['stops']}, other faults: {faults}",
            f"passes: {tally['passes']}, events: {tally['events']}, source rows: {self.rows}",
            f"simulated: {self.simulated / 3600:.0f} h, {speed:.0f} times as fast as the clock",
            f"seeds with rows lost: {lost}, doubled: {doubled}, any rule broken: {broken}",
        ]


_FAULTS = ("refused", "lost", "unsent", "late", "before", "after", "flying", "silent")


def told(title: str, lines: Sequence[str]) -> tuple[str, str]:
    """What a test came to as a property of it, which its worker hands on."""
    return PROPERTY, json.dumps({"title": title, "lines": list(lines)})


def read(properties: Sequence[tuple[str, object]]) -> list[tuple[str, list[str]]]:
    """What was told among all properties of a run."""
    found = [json.loads(str(value)) for name, value in properties if name == PROPERTY]
    return [(each["title"], each["lines"]) for each in found]


def report(runs: Sequence[tuple[str, list[str]]]) -> str:
    """The figures of each set of seeds, and after how many of them each naive variant is found."""
    return "\n".join(f"{title:12} {line}" for title, lines in sorted(runs) for line in lines)


def command(first: int, count: int, *options: str) -> list[str]:
    """How one process is asked for seeds."""
    run = [sys.executable, "-W", "error", "-m", "tests.simulation.run", str(first), str(count)]
    return [*run, *options]


def environment(root: Path = HERE, hash_seed: str = "0") -> dict[str, str]:
    """What such a process knows: the package in `root`, the tests in ours."""
    path = os.pathsep.join(dict.fromkeys((str(root), str(HERE))))
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | {"PYTHONPATH": path, "PYTHONHASHSEED": hash_seed}


def played(
    first: int, count: int, *options: str, root: Path = HERE, hash_seed: str = "0"
) -> Figures:
    """So many seeds, in as many processes as there are cores (one for few seeds)."""
    jobs = CORES if count > CORES * 10 and "--until-broken" not in options else 1
    each = -(-count // jobs)
    since = time.perf_counter()
    running = [
        subprocess.Popen(
            command(first + job * each, min(each, count - job * each), *options),
            cwd=root,
            env=environment(root, hash_seed),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for job in range(jobs)
    ]
    total = Figures()
    for process in running:
        out, err = process.communicate()
        if process.returncode:
            raise RuntimeError(err.decode()[-4000:])
        told = json.loads(out)
        total.seeds += told["seeds"]
        total.cpu += told["cpu"]
        total.simulated += told["simulated"]
        total.rows += told["rows"]
        total.tally += Counter(told["tally"])
        total.broken |= told["broken"]
        total.digests |= told["digests"]
    total.seconds = time.perf_counter() - since
    return total
