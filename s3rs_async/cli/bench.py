"""The one table that a command on a state is about, and how its change is told and agreed to."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from ..errors import ExitCode
from . import options
from .output import complain, say, say_table, write_json

if TYPE_CHECKING:
    from ..commit import State
    from ..config import Connections
    from ..override import Bench, Changed
    from ..service import Job

Result = TypeVar("Result")
Work = Callable[["Bench", str, bool], Awaitable["Changed"]]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which table is meant, as the command line says it."""

    table: str
    name: str | None
    source: str | None
    target: str | None
    config: Path | None

    def job(self) -> tuple[Connections, Job]:
        """The names resolved, as a sync would."""
        connections = options.connections_of(self.config)
        named = [self.name] if self.name is not None else []
        pipelines = options.pipelines_of(self.config, named) if named else []
        from ..service import Ask, resolve

        pipeline = pipelines[0] if pipelines else None
        return connections, resolve(
            connections, Ask((self.table,), pipeline, self.source, self.target)
        )


def one_table(command: options.Command) -> options.Command:
    """-t, -p, --source, --target, --output and --config."""
    for option in (
        options.config_folder,
        options.output_format,
        click.option("--target", envvar="S3RS_TARGET", show_envvar=True, help="Which target."),
        click.option("--source", envvar="S3RS_SOURCE", show_envvar=True, help="Which source."),
        click.option("-p", "--pipeline", "name", help="Name or YAML file; default: without one."),
        click.option("-t", "--table", required=True, help="schema.table"),
    ):
        command = option(command)
    return command


async def with_bench(asked: Asked, work: Callable[[Bench, str], Awaitable[Result]]) -> Result:
    """The work, with the table's ends open: none is connected to before it is used."""
    connections, job = asked.job()
    from .. import log
    from ..override import Bench, this_user
    from ..s3.canary import ensure_conditions
    from ..service import MEMORY, PARALLEL, Stop, open_ends
    from ..staging import share

    log.set_up(json=None, quiet=True)
    async with open_ends(connections, [job]) as ends:
        await ensure_conditions(ends.store, connections.s3)
        line = ends.line(job, share(MEMORY, PARALLEL), Stop())
        return await work(Bench(line, job.specs[0], ends.store), this_user())


def changed(work: Work, asked: Asked, output: str, *, yes: bool) -> int:
    """Say what would change, ask where there is someone to ask, change it, and say what has."""

    def run(*, dry: bool) -> Changed:
        return options.run_async(with_bench(asked, lambda bench, who: work(bench, who, dry)))

    if not yes:
        foretold = run(dry=True)
        if not sys.stdin.isatty():
            _tell(asked, foretold, output)
            complain("Note: nothing was changed: say --yes")
            return ExitCode.OK
        _tell(asked, foretold, "table")
        if not click.confirm("Change it?", err=True):
            return ExitCode.OK
    _tell(asked, run(dry=False), output)
    return ExitCode.OK


def told(document: dict[str, object]) -> None:
    """A document in lines."""
    lines = (f"{key}: {'-' if value is None else value}" for key, value in document.items())
    say("\n".join(lines))


def facts(state: State) -> dict[str, object]:
    """What an override can change of a state."""
    from ..s3.codec import pack

    return {
        "watermark": state.position.cursor if state.position is not None else None,
        "position": pack(state.position),
        "replace_window": pack(state.replace_window),
        "replace_pending": state.replace_pending,
        "backup_strategy": state.backup_strategy,
        "generation": state.generation,
        "next_seq": state.next_seq,
        "last_batch": state.last_batch or None,
        "pending_batches": len(state.pending),
        "rows_loaded": state.rows.loaded,
        "stopped": state.stop,
        "last_failure": state.last_failure,
        "epoch": state.epoch,
    }


def _tell(asked: Asked, change: Changed, output: str) -> None:
    before = facts(change.before) if change.before is not None else {}
    after = facts(change.after)
    if output == "json":
        write_json(
            {
                "table": asked.table,
                "changed": change.version is not None,
                "version": change.version,
                "before": before or None,
                "after": after,
            }
        )
        return
    rows = [
        {"field": name, "before": before.get(name), "after": value}
        for name, value in after.items()
        if before.get(name) != value
    ]
    say_table(("field", "before", "after"), rows)
    if change.version is not None:
        say(f"{asked.table}: version {change.version} written")
