"""The figures as a table on the terminal, as a JSON document and as a picture."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import orjson

from reading.contestants import Contestant, Figure
from reading.goals import MIB, Goal
from reading.run import Run

RESULTS = Path(__file__).parents[1] / "results"
_OWN = ("s3rs_async", "pyarrow", "numpy", "uvloop", "aiomysql", "aiobotocore")
_HEAD = (
    ("contestant", 31),
    ("rows", 11),
    ("T s", 8),
    ("krows/s", 9),
    ("MB/s", 7),
    ("of drain", 10),
    ("CPU s", 8),
    ("CPU s/M", 8),
    ("peak MiB", 9),
    ("server CPU", 11),
    ("process s", 10),
)


def table(figures: Mapping[str, Figure], row_bytes: float) -> str:
    """All figures; MB are those of the binary protocol's bytes for as many rows."""
    head = "".join(
        f"{name:<{width}}" if not at else f"{name:>{width}}"
        for at, (name, width) in enumerate(_HEAD)
    )
    return "\n".join([head, *(_line(each, figures, row_bytes) for each in figures.values())])


def _line(each: Figure, figures: Mapping[str, Figure], row_bytes: float) -> str:
    if each.failure:
        return f"{each.contestant.label:<31} did not come through: {each.failure}"
    run, floor = each.run, figures.get(_floor(each.contestant))
    share = "-" if floor is None else f"{each.rows_per_second / floor.rows_per_second:.0%}"
    cells = (
        f"{run.rows:,}",
        f"{run.seconds:.3f}",
        f"{each.rows_per_second / 1e3:,.0f}",
        f"{each.rows_per_second * row_bytes / 1e6:,.0f}",
        share,
        f"{run.cpu_seconds:.2f}",
        f"{each.cpu_per_million:.2f}",
        f"{run.peak_bytes / MIB:,.0f}",
        f"{run.server_cpu_seconds:.2f}",
        f"{run.process_seconds:.2f}",
    )
    widths = (width for _, width in _HEAD[1:])
    return f"{each.contestant.label:<31}" + "".join(
        f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)
    )


def _floor(contestant: Contestant) -> str:
    """The raw drain of the protocol that it reads by."""
    rows_as_text = {"drain-text", "decode-text", "aiomysql", "asyncmy", "sling", "sling-csv"}
    return "drain-text" if contestant.name in rows_as_text else "drain-binary"


def machine(server: str, pool: int) -> dict[str, object]:
    """What the figures hold for."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "server": server,
        "buffer_pool_bytes": pool,
    }


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()


def versions(contestants: Sequence[Contestant]) -> dict[str, str]:
    """The versions of all that took part."""
    found = {}
    for name in (*_OWN, *(each for contestant in contestants for each in contestant.distributions)):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def document(figures: Mapping[str, Figure], runs: Mapping[str, Sequence[Run]]) -> dict[str, object]:
    """Medians and every single run."""
    return {
        name: {
            "label": each.contestant.label,
            "part_of_rows": each.contestant.part,
            "failure": each.failure or None,
            "median": None if each.failure else asdict(each.run),
            "runs": [asdict(run) for run in runs[name] if not run.failure],
        }
        for name, each in figures.items()
    }


def told(goals: Sequence[Goal]) -> list[dict[str, object]]:
    """The goals for the document."""
    return [{**asdict(goal), "met": goal.met} for goal in goals]


def write(name: str, content: Mapping[str, object], folder: Path | None) -> Path:
    """The document as a file among the results, or in another folder."""
    file = (folder or RESULTS) / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return file
