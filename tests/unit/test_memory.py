"""The process gives memory back, unless its user has said how memory is to be had."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

STARTED = """
import sys
from s3rs_async.__main__ import main
assert "pyarrow" not in sys.modules
sys.argv[1:] = ["--version"]
try:
    main()
finally:
    import pyarrow
    print(pyarrow.default_memory_pool().backend_name)
"""


@pytest.mark.parametrize(("asked", "backend"), [(None, "system"), ("mimalloc", "mimalloc")])
def test_arrow_takes_the_systems_allocator_unless_its_user_chose(
    asked: str | None, backend: str
) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ARROW_")}
    chosen = {} if asked is None else {"ARROW_DEFAULT_MEMORY_POOL": asked}
    done = subprocess.run(
        [sys.executable, "-c", STARTED],
        env=environment | chosen,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == backend


THREADS = """
import os
from s3rs_async import memory
memory.give_back()
import numpy
print(len(os.listdir("/proc/self/task")))
"""
HOLES = """
from s3rs_async import memory
memory.give_back()
def resident():
    return int(open("/proc/self/statm").read().split()[1])
def blocks():
    return [bytearray(b"x" * 500_000) for _ in range(400)]
before = resident()
held = blocks()
full = resident() - before
held = held[::20]
free = resident() - before
memory.trim()
print(full, free, resident() - before)
"""

CYCLES = """
import gc
from s3rs_async import __main__ as command
from s3rs_async.cli import options
async def work():
    print(int(gc.isenabled()), gc.get_freeze_count())
def run(argv):
    print(int(gc.isenabled()))
    options.run_async(work())
    return 0
command.run = run
command.main()
"""

on_linux = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc here")


def told(script: str) -> list[int]:
    names = ("ARROW_", "OPENBLAS_", "MALLOC_")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(names)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    return [int(word) for word in done.stdout.split()]


@on_linux
def test_linear_algebra_starts_no_threads() -> None:
    assert told(THREADS) == [1]


@on_linux
def test_what_lies_free_between_rows_is_given_back() -> None:
    full, free, trimmed = told(HOLES)

    assert free > full / 2
    assert trimmed < full / 4


def test_cycles_are_looked_for_once_all_is_imported_and_not_among_that() -> None:
    at_first, at_work, frozen = told(CYCLES)

    assert (at_first, at_work) == (0, 1)
    assert frozen > 1_000
