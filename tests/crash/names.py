"""The names of all failpoints, as they stand in the package's source."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import s3rs_async

_ROOT = Path(s3rs_async.__file__).parent
_ENDS = {"reached": ("",), "step": (":before", ":after")}


def found() -> Counter[str]:
    """Each name that a process can be stopped at, and in how many places it is written."""
    names: Counter[str] = Counter()
    for path in _ROOT.rglob("*.py"):
        names.update(_named(ast.parse(path.read_text())))
    return names


def _named(tree: ast.Module) -> list[str]:
    """`step("X8")` is two places, `reached("X4:rows")` one."""
    known = _imported(tree)
    return [
        argument.value + end
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        for argument in node.args[:1]
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
        for end in known.get(node.func.id, ())
    ]


def _imported(tree: ast.Module) -> dict[str, tuple[str, ...]]:
    """By which words a module calls the two functions."""
    return {
        alias.asname or alias.name: _ENDS[alias.name]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "failpoint"
        for alias in node.names
        if alias.name in _ENDS
    }
