"""What the crash matrix has come to, told at the end of a run."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.crash import matrix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.crash.cell import Figures

PROPERTY = "crash"


def told(cell: matrix.Cell, seed: int, figures: Figures) -> tuple[str, str]:
    """A cell's figures as a property of its test."""
    facts = {
        "cell": str(cell),
        "action": cell.action,
        "seed": seed,
        "rows": figures.rows,
        "kills": figures.kills,
        "seconds": figures.seconds,
    }
    return PROPERTY, json.dumps(facts)


def read(properties: Sequence[tuple[str, object]]) -> list[dict[str, Any]]:
    """The figures among all properties of a run."""
    return [json.loads(str(value)) for name, value in properties if name == PROPERTY]


def report(lived: Sequence[dict[str, Any]]) -> str:
    """What the cells that passed have come to; a row lost or doubled fails its cell."""
    names = {each["cell"] for each in lived}
    cells, reasons = matrix.cells(), Counter(c.reason for c in matrix.cells() if c.reason)
    applicable = len(cells) - reasons.total()
    actions = Counter(each["action"] for each in lived)
    seconds = sum(each["seconds"] for each in lived)
    lines = [
        f"cells: {applicable} applicable, {reasons.total()} not",
        *(f"  {count:3} not: {reason}" for reason, count in reasons.most_common()),
        f"lived: {len(names)} cells, {len(lived)} with seeds, each of which fired",
        "  " + ", ".join(f"{count} {action}" for action, count in sorted(actions.items())),
        f"kills: {sum(each['kills'] for each in lived)}",
        f"rows compared: {sum(each['rows'] for each in lived)}, none of them lost or doubled",
        f"seconds of cells: {seconds:.0f}, {seconds / max(len(lived), 1):.1f} each",
    ]
    return "\n".join(lines)
