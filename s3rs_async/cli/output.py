"""What goes to the terminal: data to stdout, complaints to stderr, and nothing anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import ConfigError, Error, one_line


def tell(error: Error) -> None:
    """A failure in two lines: what is wrong, and what mends it."""
    complain(f"Error: {error}\nHint: {one_line(error.hint)}")


def complain(text: str) -> None:
    """To stderr, if it can be written to."""
    from ..log import put

    put(sys.stderr, f"{text}\n")


def say(text: str) -> None:
    """To stdout; ConfigError when it can't be written to."""
    from ..log import put

    if (error := put(sys.stdout, f"{text}\n")) is not None:
        raise _unwritten("stdout", error)


def write_json(document: object, path: str = "-") -> None:
    """A document to a file, or to stdout for `-`; ConfigError when it can't be written."""
    import orjson

    data = orjson.dumps(document, option=orjson.OPT_INDENT_2, default=str)
    if path == "-":
        say(data.decode())
        return
    try:
        Path(path).write_bytes(data + b"\n")
    except OSError as error:
        raise _unwritten(path, error) from error


def say_table(columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    """Rows in columns as wide as what they hold: plain text, for eyes and for awk."""
    cells = [[_cell(row.get(name)) for name in columns] for row in rows]
    titles = [name.replace("_", " ") for name in columns]
    widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in [titles, *cells]
    ]
    say("\n".join(lines))


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else one_line(str(value)) or "-"


def _unwritten(file: str, error: OSError) -> ConfigError:
    return ConfigError(
        "the report can't be written",
        file=file,
        reason=error.strerror,
        hint="name a file that can be written; what the report tells of was done nevertheless",
    )
