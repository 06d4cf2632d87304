"""Whatever a server's bytes are, they are read or refused: executions, not examples.

What was found once lies in the corpus and is run each time. Then as many inputs as an ordinary run
can afford are made of it, blindly by hypothesis' numbers and guided by libFuzzer; `-m fuzz` runs a
million. An input that finds something is shown, and belongs into the corpus once it is mended.
"""

from __future__ import annotations

import importlib.util
import re
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz import figures
from tests.fuzz.havoc import changed
from tests.fuzz.tables import CORPUS
from tests.fuzz.targets import Target, judge, target_of

ROOT = Path(__file__).parents[2]
AT_ONCE = 200
MEMORY = 200 << 20
BLIND, GUIDED = 90_000, 10_000
MILLION = 1_000_000
IS_LED = importlib.util.find_spec("atheris") is not None
LED = 600_000 if IS_LED else 0
OFTEN = {Target.FRAMING: 8, Target.ANSWERS: 6, Target.TEXT: 1, Target.BINARY: 1}
"""What costs little is tried more often where the bytes are changed blindly."""
pytestmark = pytest.mark.timeout(900)  # some twenty seconds where a processor is free
long = pytest.mark.thorough, pytest.mark.timeout(7200)


def corpus() -> list[bytes]:
    return [path.read_bytes() for path in sorted(CORPUS.iterdir())]


def attack(data: bytes) -> None:
    """Run one input; where it finds something, show it."""
    try:
        judge(data)
    except Exception as error:
        error.add_note(f"the input: {data.hex()}")
        raise


def test_the_corpus_has_inputs_for_every_target() -> None:
    assert {target_of(data) for data in corpus()} == set(Target)


def test_what_was_found_once_is_not_found_again() -> None:
    for data in corpus():
        attack(data)


@pytest.mark.parametrize(
    "runs", [BLIND, pytest.param(MILLION - LED, marks=long)], ids=["short", "whole"]
)
def test_bytes_changed_blindly_are_read_or_refused(runs: int, record_property: Any) -> None:
    seeds = [data for data in corpus() for _ in range(OFTEN[target_of(data)])]
    before, began, done = _peak(), time.perf_counter(), 0

    @seed(0 if runs == BLIND else time.time_ns())
    @settings(
        max_examples=runs // AT_ONCE,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 1 << 62))
    def run(number: int) -> None:
        nonlocal done
        for each in range(number, number + AT_ONCE):
            attack(changed(seeds, each))
        done += AT_ONCE

    run()
    assert done >= runs * 0.99
    assert _peak() - before < MEMORY
    record_property(*figures.told("blind", done, time.perf_counter() - began))


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


@pytest.mark.skipif(not IS_LED, reason="atheris has no wheel for this machine: blind bytes only")
@pytest.mark.parametrize("runs", [GUIDED, pytest.param(LED, marks=long)], ids=["short", "whole"])
def test_bytes_that_are_led_to_new_code_are_read_or_refused(
    runs: int, tmp_path: Path, record_property: Any
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    options = {
        "runs": runs,
        "seed": 1 if runs == GUIDED else time.time_ns() % (1 << 31),
        "max_len": 600,
        "timeout": 60,  # of the clock, for what never ends; `judge` counts the processor's second
        "rss_limit_mb": 2 * MEMORY >> 20,
        "malloc_limit_mb": MEMORY >> 20,
        "print_final_stats": 1,
        "artifact_prefix": f"{tmp_path}/",
    }
    began = time.perf_counter()
    done = subprocess.run(
        [
            # a peak begins at that of the process which forked: a shell's, not pytest's
            *("sh", "-c", '"$@"; exit $?', "sh"),
            *(sys.executable, "-m", "tests.fuzz.engine"),
            *(f"-{name}={value}" for name, value in options.items()),
            *(kept, CORPUS),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    found = {path.name: path.read_bytes().hex() for path in tmp_path.iterdir() if path.is_file()}
    assert (done.returncode, found) == (0, {}), done.stderr[-3000:]
    told = dict(re.findall(r"stat::(\w+):\s+(\d+)", done.stderr))
    executions, peak = int(told["number_of_executed_units"]), int(told["peak_rss_mb"])
    assert executions >= runs
    record_property(*figures.told("guided", executions, time.perf_counter() - began, peak))
