"""The stand-in's table of rules and its knobs, for readers.

What a stand-in does not copy is as much worth as what it does, so the table says both, with the
evidence of each line. It is made of the data that the stand-in itself runs on: a rule that is not
in the table is not in force, and one that is there is named by the errors it causes. Nothing is
started for it, and nothing of what a sandbox needs must be installed.

On a terminal the texts are wrapped to its width; anywhere else each rule is one line, cut nowhere.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .redshift.knobs import KNOBS, PREFIX
from .redshift.rules import RULES, Rule
from .redshift.rules.gaps import GAPS

Row: TypeAlias = tuple[str, ...]

STATES: Final = {
    "emulated": "done as Redshift does it",
    "refused": "Redshift refuses it, or the stand-in does because it cannot do it",
    "stricter": "the stand-in refuses what Redshift may take: unknown, or misread in silence",
    "assumption": "rests on no evidence: only a real cluster can settle it",
}
EVIDENCE: Final = {
    "D": "the vendor's documentation",
    "M": "measured on a real cluster by others",
    "I": "an error text in a public issue",
    "A": "an assumption",
}
_RULES: Final = ("rule", "state", "evidence", "what the stand-in does")
_KNOBS: Final = ("knob", "takes", "what it does")
_GAPS: Final = ("known gaps: Redshift does otherwise, and no rule says so",)
_LEGEND: Final = ("word", "meaning")


def state(rule: Rule) -> str:
    """A rule's state in one word; an assumption is one whatever its treatment."""
    return "assumption" if rule.is_assumption else rule.treatment


def counts() -> dict[str, int]:
    """How many rules there are of each state, and in all."""
    found = Counter(map(state, RULES.values()))
    return {**{name: found[name] for name in STATES}, "rules": len(RULES)}


def document() -> dict[str, object]:
    """All of it as data."""
    return {
        "rules": [
            {
                "number": rule.number,
                "text": rule.text,
                "evidence": list(rule.evidence),
                "treatment": rule.treatment,
                "assumption": rule.is_assumption,
            }
            for rule in RULES.values()
        ],
        "counts": counts(),
        "gaps": GAPS,
        "evidence": EVIDENCE,
        "states": STATES,
        "knobs": [
            {
                "name": f"{PREFIX}.{knob.name}",
                "takes": knob.form,
                "default": knob.default,
                "text": knob.text,
            }
            for knob in KNOBS.values()
        ],
    }


def told(width: int | None) -> str:
    """All of it as text, drawn for a terminal of that width or plain where there is none."""
    show = _plain if width is None else _Drawn(width)
    rules = [
        (rule.number, state(rule), " ".join(rule.evidence), rule.text) for rule in RULES.values()
    ]
    knobs = [(f"{PREFIX}.{knob.name}", knob.form, knob.text) for knob in KNOBS.values()]
    legend = [*STATES.items(), *EVIDENCE.items()]
    gaps = [(gap,) for gap in GAPS]
    parts = [show(_RULES, rules), show(_LEGEND, legend), _sum(), show(_GAPS, gaps)]
    return "\n\n".join([*parts, show(_KNOBS, knobs), _usage()])


def _sum() -> str:
    found = counts()
    states = ", ".join(f"{found[name]} {name}" for name in STATES)
    return f"{found['rules']} rules: {states}"


def _usage() -> str:
    return (
        f"SET {PREFIX}.KNOB = 'value' turns a knob for the session, ALTER SYSTEM SET for all;\n"
        f"SET {PREFIX}.off = 'RULE,RULE' switches rules off. This is a stand-in, not Redshift."
    )


def _plain(titles: Row, rows: Iterable[Row]) -> str:
    """Aligned columns, one line a row."""
    lines = [titles, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_aligned(line, widths) for line in lines)


def _aligned(line: Row, widths: Sequence[int]) -> str:
    return "  ".join(map(str.ljust, line, widths)).rstrip()


class _Drawn:
    """Tables for a terminal."""

    def __init__(self, width: int) -> None:
        self._width = width

    def __call__(self, titles: Row, rows: Iterable[Row]) -> str:
        table = Table(*titles[:-1], box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column(titles[-1], overflow="fold")
        for row in rows:
            table.add_row(*map(Text, row))
        page = io.StringIO()
        Console(file=page, width=self._width, force_terminal=True).print(table)
        return page.getvalue().strip("\n")
