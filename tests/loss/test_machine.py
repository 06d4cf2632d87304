"""The machine of `machine`, on a real MariaDB through the whole line.

    TEST_LOSS_SEED=42 TEST_LOSS_EXAMPLES=5 ./dev test tests/loss/test_machine.py -m loss

A failure prints the steps of its example; its seed, told with the figures, plays them again. The
margin of the bound is set to a second here, which makes it a third as careful as it is: so there is
more that it could lose, and less time to wait for rows to come to rest.
"""

from __future__ import annotations

import datetime as dt
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from s3rs_async.config import load_connections
from s3rs_async.mysql import feed, reader, watch
from tests.acceptance.compare import redshift
from tests.acceptance.running import config
from tests.loss import figures
from tests.loss.conftest import SOURCE, source_of
from tests.loss.engine import Engine
from tests.loss.machine import Machine
from tests.loss.shop import Shop

if TYPE_CHECKING:
    from pathlib import Path

    from s3rs_async.sandbox import Box

    Record = Callable[[str, object], None]

SHORT_SEED = 3
SHORT, SHORT_STEPS = 2, 40
LONG, LONG_STEPS = int(os.environ.get("TEST_LOSS_EXAMPLES") or 12), 80

Examples = Callable[[int, int, int], None]


@pytest.fixture
def examples(
    box: Box,
    database: str,
    settled: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Record,
) -> Iterator[Examples]:
    """Run so many examples of so many steps from a seed, and tell what they met."""
    monkeypatch.setattr(watch, "MARGIN", dt.timedelta(seconds=1))
    monkeypatch.setattr(reader, "_FIRST_ROWS", 3)
    monkeypatch.setattr(reader, "_LEAST_ROWS", 2)
    monkeypatch.setattr(reader, "_MOST_ROWS", 4)
    config(box, tmp_path, sources={SOURCE: source_of(box.mysql)})

    def patience(seconds: float) -> None:
        monkeypatch.setattr(feed, "_BOUND_SECONDS", seconds)
        monkeypatch.setattr(feed, "_VOUCHED_SECONDS", seconds)

    with Engine(load_connections(tmp_path, {}), SOURCE) as engine:

        def run(number: int, steps: int, chosen: int) -> None:
            numbers, met = count(1), Counter[str]()

            @seed(chosen)
            def machine() -> Machine:
                return Machine(Shop(box, engine, database, next(numbers)), patience, met)

            record_property(*figures.told(f"TEST_LOSS_SEED={chosen}"))
            run_state_machine_as_test(machine, settings=_settings(number, steps))
            told = ", ".join(f"{number} {what}" for what, number in met.items())
            record_property(*figures.told(told))

        yield run
    redshift(box.redshift.url, f"DROP SCHEMA IF EXISTS {database} CASCADE")


def _settings(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        print_blob=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )


def test_a_few_examples_end_with_source_and_target_equal(examples: Examples) -> None:
    examples(SHORT, SHORT_STEPS, SHORT_SEED)


@pytest.mark.thorough
@pytest.mark.timeout(60 + 40 * LONG)
def test_many_examples_end_with_source_and_target_equal(examples: Examples) -> None:
    chosen = int(os.environ.get("TEST_LOSS_SEED") or secrets.randbelow(2**32))
    examples(LONG, LONG_STEPS, chosen)
