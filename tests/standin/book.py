"""Every check there is: importing this module collects them from `check_*.py`."""

from __future__ import annotations

import importlib
from pathlib import Path

from tests.standin.checks import CHECKS

for _path in sorted(Path(__file__).parent.glob("check_*.py")):
    importlib.import_module(f"tests.standin.{_path.stem}")

__all__ = ["CHECKS"]
