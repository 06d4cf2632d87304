"""The short set, which every run has: what breaks is caught at once, and what holds holds small."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.model import checker
from tests.model.checker import Verdict
from tests.model.configurations import EVERY, SHORT, Configuration
from tests.model.running import each, prove

if TYPE_CHECKING:
    from pathlib import Path

_FULL = "State-vector 476 byte, depth reached 300, errors: {}\n   16854 states, stored\n"


@each(SHORT)
def test_the_short_set_is_as_expected(
    configuration: Configuration, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    prove(configuration, tmp_path, request)


def test_names_are_given_once() -> None:
    assert len({each.name for each in EVERY}) == len(EVERY)
    assert len({each.flags for each in EVERY}) == len(EVERY)


def test_every_naive_variant_of_the_model_is_searched() -> None:
    tested = {flag.partition("=")[0] for each in EVERY for flag in each.flags}
    source = "".join(path.read_text() for path in checker.MODEL.parent.glob("*.pml"))
    asked = {
        word
        for line in source.splitlines()
        if line.lstrip().startswith(("#if", "#elif"))
        for word in line.replace("(", " ").replace(")", " ").replace("!", " ").split()
        if word.isupper()
    }
    made = {
        line.split()[1].partition("(")[0]
        for line in source.splitlines()
        if line.startswith("#define")
    }
    assert asked - made == tested - made


def test_a_missing_tool_fails_and_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match="apt-get install spin gcc libc6-dev"):
        checker.need_tools(str(tmp_path))


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("error: max search depth too small\n" + _FULL.format(0), 0),
        ("pan: out of memory\n" + _FULL.format(0), 0),
        ("pan: reached -DMEMLIM bound\nWarning: Search not completed\n" + _FULL.format(0), 1),
        ("Warning: Search not completed\n" + _FULL.format(0), 0),
        (_FULL.format(0), -24),
        ("Interrupted\n" + _FULL.format(0), 0),
        (_FULL.format(0), 139),
        (_FULL.format(1), 0),
        ("", 0),
    ],
)
def test_a_search_that_did_not_end_shows_nothing(said: str, code: int) -> None:
    assert checker.judged(said, code)[0] is Verdict.UNDECIDED


def test_a_whole_search_without_errors_is_safe() -> None:
    assert checker.judged(_FULL.format(0), 0)[0] is Verdict.SAFE


@pytest.mark.parametrize(
    "what", ["assertion violated (cnt[r]==1) (at depth 9)", "invalid end state (at depth 7)"]
)
def test_only_a_broken_invariant_is_a_catch(what: str) -> None:
    said = f"pan:1: {what}\nWarning: Search not completed\n{_FULL.format(1)}"
    assert checker.judged(said, 0) == (Verdict.CAUGHT, what)


def test_a_model_that_cannot_be_built_is_no_catch(tmp_path: Path) -> None:
    broken = Configuration("no such type", ("FAULTS=nothing",), expected=Verdict.CAUGHT)
    assert checker.check(broken, tmp_path).verdict is Verdict.UNDECIDED
