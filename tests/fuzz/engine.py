"""The guided half: libFuzzer behind atheris keeps what reaches new code, and changes it again.

    python -m tests.fuzz.engine -runs=100000 FOLDER tests/fuzz/corpus      # libFuzzer's arguments

A process of its own: libFuzzer ends it itself, at the first flaw too, whose input it writes down.
"""

from __future__ import annotations

import sys

import atheris

_SEEN = ("wire", "lanes", "statement", "decode", "binary", "arrays", "moments", "spelling")

with atheris.instrument_imports(include=[f"s3rs_async.mysql.{name}" for name in _SEEN]):
    from tests.fuzz.targets import judge

atheris.Setup(sys.argv, judge)
atheris.Fuzz()
