"""`s3rs verify`: source and target compared; what differs named, and mended if asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ConfigError, Error, ExitCode, exit_code
from . import options
from .output import say, tell, write_json

if TYPE_CHECKING:
    from ..verify import Compared, Ended, Verdict

_MOST_SHOWN = 100


@click.command()
@click.option("-t", "--table", "tables", multiple=True, help="schema.table; may be repeated.")
@click.option(
    "-p", "--pipeline", "name", help="Name or YAML file: its tables, or those of -t among them."
)
@click.option("--source", envvar="S3RS_SOURCE", show_envvar=True, help="Which source.")
@click.option("--target", envvar="S3RS_TARGET", show_envvar=True, help="Which target.")
@click.option(
    "--level",
    type=click.Choice(["counts", "checksums"]),
    default="checksums",
    show_default=True,
    help="How many rows there are, or what is in them.",
)
@click.option(
    "--budget",
    type=options.Duration(),
    help="Begin nothing after so long; the next time goes on from there.",
)
@click.option("--repair", is_flag=True, help="Read the rows that differ anew.")
@options.output_format
@options.json_logs
@options.quiet
@options.config_folder
def verify(  # noqa: D103 - its help is below, for the terminal
    tables: tuple[str, ...],
    name: str | None,
    source: str | None,
    target: str | None,
    level: str,
    budget: float | None,
    repair: bool,
    output: str,
    json_logs: bool,
    quiet: bool,
    config: Path | None,
) -> int:
    _refuse_contradictions(tables, name, source, target, level=level, repair=repair)
    connections = options.connections_of(config)  # told wrong before the drivers are loaded
    pipeline = options.pipelines_of(config, [name])[0] if name is not None else None
    from .. import log, service
    from ..verify import Level, Wish
    from ..verify import verify as compared

    log.set_up(json=True if json_logs else None, quiet=quiet)
    ask = service.Ask(tables, pipeline, source, target)
    wish = Wish(Level(level), budget, repair)
    return _told(options.run_async(compared(connections, ask, wish)), output)


verify.help = """Compare tables with their targets, range by range, and name the rows that differ.

missing: the source has it, and the target should; stale: the target has an older version; extra:
the source has it no longer; doubled: the target has it more than once. Rows that the next pass will
bring are no difference. --repair reads rows anew, and deletes extra ones as `deletes` of their
table says. Exit codes: 0 equal, 3 they differ, else those of sync.
"""


def _refuse_contradictions(
    tables: Sequence[str],
    name: str | None,
    source: str | None,
    target: str | None,
    *,
    level: str,
    repair: bool,
) -> None:
    if not tables and name is None:
        raise ConfigError(
            "nothing to verify", hint="name tables with -t, or a pipeline with -p: see --help"
        )
    if name is not None and (source or target):
        raise ConfigError(
            "a pipeline has its own source and target",
            hint="leave --source and --target out (and S3RS_SOURCE, S3RS_TARGET), or -p",
        )
    if repair and level == "counts":
        raise ConfigError(
            "counts name no rows that could be repaired", hint="leave --level or --repair out"
        )


def _told(ended: Ended, output: str) -> ExitCode:
    verdicts = [each.verdict for each in ended.tables if each.verdict is not None]
    failures = [failure for each in ended.tables if (failure := _failure(each)) is not None]
    left = [str(each.spec.table) for each in ended.tables if _is_left(each)]
    if output == "json":
        errors = {"errors": [str(each) for each in failures]} if failures else {}
        document = {"verify": [each.as_json() for each in verdicts], "no_time_for": left}
        write_json({**document, **errors})
    else:
        lines = [line for verdict in verdicts for line in _lines(verdict)]
        lines += [f"{table}: not compared: no time was left" for table in left]
        for line in lines:
            say(line)
    for error in failures:
        tell(error)
    done = len(ended.tables) - len(left) - len(failures)
    return ended.exit_code or exit_code(list(failures), done=done)


def _failure(each: Compared) -> Error | None:
    found = each.verdict.failure() if each.verdict is not None else None
    return each.error or each.repair or found


def _is_left(each: Compared) -> bool:
    return each.verdict is None and each.error is None


def _lines(verdict: Verdict) -> Iterator[str]:
    """A table's verdict; of each kind the first hundred keys."""
    end = "" if verdict.ended else f", as far as {_key(verdict.through)}"
    begin = f" from {_key(verdict.begun_after)}" if verdict.begun_after else ""
    yield (
        f"{verdict.table} -> {verdict.target}: {_word(verdict)}{begin}{end}:"
        f" {verdict.source_rows:,} rows at the source, {verdict.target_rows:,} at the target, by"
        f" {verdict.level} in {verdict.stretches} ranges, {verdict.seconds:.1f} s"
    )
    if verdict.waiting:
        yield f"  {verdict.waiting:,} rows differ that the next pass brings"
    if verdict.left_out and verdict.level == "checksums":
        yield f"  not compared: {', '.join(verdict.left_out)}"
    for each in verdict.unequal[:_MOST_SHOWN] if verdict.unnamed else ():
        span = f"behind {_key(each.after)} to {_key(each.upto)}"
        yield f"  {span}: {each.source_rows:,} at the source, {each.target_rows:,} at the target"
    yield from _keys(verdict)
    if verdict.more:
        yield "  there are more differences than these: repair them, and verify again"
    if verdict.repaired is not None:
        yield f"  repaired: {verdict.repaired:,} rows"


def _word(verdict: Verdict) -> str:
    return "differs" if verdict.differs else "equal"


def _keys(verdict: Verdict) -> Iterator[str]:
    from ..verify import Kind

    for kind in Kind:
        keys = verdict.of(kind)
        if keys:
            rest = len(keys) - _MOST_SHOWN
            shown = ", ".join(map(_key, keys[:_MOST_SHOWN]))
            yield f"  {kind}: {shown}" + (f" and {rest:,} more" if rest > 0 else "")


def _key(key: Sequence[str]) -> str:
    if not key:
        return "the end"
    return key[0] if len(key) == 1 else f"({', '.join(key)})"
