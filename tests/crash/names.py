"""The names of all failpoints, as they stand in the package's source."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import s3rs_async

_ROOT = Path(s3rs_async.__file__).parent
_CALLS = {"reached", "step"}


def found() -> Counter[str]:
    """Each name that a process can be stopped at, and in how many places it is written."""
    names: Counter[str] = Counter()
    for path in _ROOT.rglob("*.py"):
        if path != _ROOT / "failpoint.py":
            names.update(_named(ast.parse(path.read_text())))
    return names


def _named(tree: ast.Module) -> list[str]:
    """`step("X8")` is two places, `reached("X4:rows")` one."""
    names = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or _called(node) not in _CALLS or not node.args:
            continue
        argument = node.args[0]
        if not isinstance(argument, ast.Constant) or not isinstance(argument.value, str):
            continue
        ends = (":before", ":after") if _called(node) == "step" else ("",)
        names += [argument.value + end for end in ends]
    return names


def _called(node: ast.Call) -> str:
    function = node.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
