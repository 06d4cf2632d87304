"""The process gives memory back, unless its user has said how memory is to be had."""

from __future__ import annotations

import os
import subprocess
import sys

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
