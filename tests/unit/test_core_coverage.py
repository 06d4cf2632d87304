"""The protocol's pure core, and the register that writes it, are held at every branch.

Their unit tests and properties are run once more under coverage, the properties on fewer examples:
what only a rare example reaches is not tested, but met by chance.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_CORE = ("s3rs_async/commit/*", "s3rs_async/s3/register.py")
_TESTS = ("unit/test_commit*.py", "unit/test_s3_register.py", "property/test_commit*.py")
_EXAMPLES = "50"


def _coverage(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "COVERAGE_FILE": str(folder / "data"),
        "TEST_EXAMPLES": _EXAMPLES,
    }
    command = [sys.executable, "-m", "coverage", *words]
    return subprocess.run(
        command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.timeout(240)
def test_every_branch_of_the_core_is_tested(tmp_path: Path) -> None:
    tests = [str(path) for pattern in _TESTS for path in (_ROOT / "tests").glob(pattern)]
    quietly = ("-q", "-n0", "-p", "no:cacheprovider")
    ran = _coverage(
        tmp_path,
        "run",
        "--branch",
        f"--include={','.join(_CORE)}",
        "-m",
        "pytest",
        *quietly,
        *tests,
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    told = _coverage(tmp_path, "json", "-o", str(tmp_path / "report.json"))
    assert told.returncode == 0, told.stderr
    files = json.loads((tmp_path / "report.json").read_text())["files"]
    core = {str(path.relative_to(_ROOT)) for pattern in _CORE for path in _ROOT.glob(pattern)}
    assert set(files) == {name for name in core if name.endswith(".py")}
    missed = [
        f"{name}: lines {found['missing_lines']}, branches {found['missing_branches']}"
        for name, found in files.items()
        if found["missing_lines"] or found["missing_branches"]
    ]
    assert not missed, "\n".join(missed)
