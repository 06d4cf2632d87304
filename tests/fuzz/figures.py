"""How many executions there were and how fast, told at the end of a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

PROPERTY = "fuzz"


def told(way: str, executions: int, seconds: float, peak: int = 0) -> tuple[str, str]:
    """What one test has done; `peak` are the megabytes of a process of its own."""
    facts = {"way": way, "executions": executions, "seconds": seconds, "peak": peak}
    return PROPERTY, json.dumps(facts)


def read(properties: Sequence[tuple[str, object]]) -> list[dict[str, Any]]:
    """The figures among all properties of a run."""
    return [json.loads(str(value)) for name, value in properties if name == PROPERTY]


def report(ran: Sequence[dict[str, Any]]) -> str:
    """Each way, and all together; a flaw fails its test."""
    lines = []
    for each in ran:
        rate = each["executions"] / max(each["seconds"], 1e-9)
        peak = f", {each['peak']} MB at most" if each["peak"] else ""
        lines.append(
            f"{each['way']}: {each['executions']:,} executions, {rate:,.0f} a second{peak}"
        )
    lines.append(f"executions: {sum(each['executions'] for each in ran):,}, no flaw")
    return "\n".join(lines)
