"""`s3rs s3clean list|clean|clean-all|orphans`: what lies in S3, and what of it may go."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import ConfigError, Error, ExitCode, exit_code
from . import options
from .output import complain, say, say_table, tell, write_json

if TYPE_CHECKING:
    from ..clean import Heap, Pile, Yard
    from ..commit.clean import Terms
    from ..config import Connections
    from ..service import Job
    from ..status import Standing

Result = TypeVar("Result")
Work = Callable[["Yard", str], Awaitable[Result]]
Ended = list[tuple[str, "Result | Error"]]

_GOING = ("name", "reason", "objects", "bytes", "age")
_LISTED = ("name", "generation", "epoch", "seq", "objects", "bytes")
_ORPHANS = ("name", "kind", "reason", "collectable", "epoch", "objects", "bytes", "age")


def _one_table(command: options.Command) -> options.Command:
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


def _terms(command: options.Command) -> options.Command:
    for option in (
        options.quiet,
        options.json_logs,
        click.option("--s3-only", is_flag=True, help="The table is never loaded: ask no ledger."),
        click.option("--force", is_flag=True, help="Delete without asking."),
        click.option("--dry-run", is_flag=True, help="Say what would go; delete nothing."),
        click.option("--pattern", help="Only batches whose name fits, such as 'batch_01K*'."),
        click.option(
            "--grace",
            type=options.Duration(),
            default="24h",
            show_default=True,
            help="How old what was never loaded must be.",
        ),
        click.option(
            "--older-than",
            type=options.Duration(),
            default="7d",
            show_default=True,
            help="How old what is loaded must be: 7d, 24h, 30m.",
        ),
    ):
        command = option(command)
    return command


@click.group()
def s3clean() -> None:
    """What lies in S3, and what of it may go.

    Only what can never be needed again is deleted: batches that the ledger in Redshift holds, and
    attempts that were given up. Never the state, never what waits to be loaded.
    """


@s3clean.command("list")
@_one_table
@click.option("--show-timestamps", is_flag=True, help="When each batch was written, too.")
def list_(show_timestamps: bool, output: str, **asked: Any) -> int:  # noqa: ANN401 - click's
    """Every batch of a table in S3, with its size."""
    heap = _of_one(asked, lambda yard, _: _listed(yard))
    rows = [_row(pile) for pile in heap.batches]
    columns = (*_LISTED, "first", "last") if show_timestamps else _LISTED
    if output == "json":
        write_json([{name: row[name] for name in columns} for row in rows])
        return ExitCode.OK
    say_table(columns, rows)
    size = sum(pile.size for pile in heap.batches)
    say(f"{len(rows):,} batches, {_size(size)}; {len(heap.copies):,} copies of the state")
    return ExitCode.OK


@s3clean.command()
@_one_table
@click.option("--s3-only", is_flag=True, help="The table is never loaded: ask no ledger.")
@click.option("--grace", type=options.Duration(), default="24h", show_default=True)
def orphans(grace: float, s3_only: bool, output: str, **asked: Any) -> int:  # noqa: ANN401 - as above
    """What is in no state and no ledger, and why it may or may not go yet."""
    from ..clean import survey
    from ..commit.clean import Reason, Terms

    terms = Terms(grace=dt.timedelta(seconds=grace))
    heap = _of_one(asked, lambda yard, _: survey(yard, terms), s3_only=s3_only)
    kinds = {Reason.ORPHAN, Reason.ORPHAN_LATELY, Reason.LIVE}
    rows = [_row(pile) for pile in heap.piles if pile.reason in kinds]
    rows += [{"name": key, "kind": "key", "reason": "not ours"} for key in heap.strange]
    if output == "json":
        write_json([{name: row.get(name) for name in _ORPHANS} for row in rows])
    elif rows:
        say_table(_ORPHANS, rows)
    else:
        say("no orphans")
    return ExitCode.OK


@s3clean.command()
@_one_table
@_terms
@click.option("--seal", is_flag=True, help="End what is being written now, so that it may go too.")
def clean(output: str, seal: bool, **asked: Any) -> int:  # noqa: ANN401 - as above
    """Delete what can never be needed again of one table.

    Without --force it is asked for on a terminal; elsewhere nothing is deleted.
    """
    connections, job = _job(asked)
    ended = _cleaned(connections, [job], asked, output, seal=seal)
    if isinstance(error := ended[0][1], Error):
        raise error
    return ExitCode.OK


@s3clean.command("clean-all")
@click.option("-p", "--pipeline", "name", help="Its tables; default: every state in the bucket.")
@_terms
@options.output_format
@options.config_folder
def clean_all(output: str, **asked: Any) -> int:  # noqa: ANN401 - as above
    """The same for all tables of a pipeline, or of the bucket's prefix.

    A table that is refused does not stop the others: exit code 6, or its own if all are refused.
    """
    connections = options.connections_of(asked["config"])
    ended: Ended[Any] = []
    if asked["name"] is not None:
        from ..service import job_of

        pipeline = options.pipelines_of(asked["config"], [asked["name"]])[0]
        from ..config import check_pipeline

        check_pipeline(pipeline, connections)
        jobs = [job_of(pipeline)]
    else:
        from ..status import standings

        jobs, ended = _jobs(connections, options.run_async(standings(connections)))
    for _, error in ended:
        tell(error)
    done = _cleaned(connections, jobs, asked, output, seal=False)
    for _, each in done:
        if isinstance(each, Error):
            tell(each)
    failures: list[BaseException] = [e for _, e in (*ended, *done) if isinstance(e, Error)]
    return exit_code(failures, done=len(done) + len(ended) - len(failures))


def _cleaned(
    connections: Connections, jobs: Sequence[Job], asked: dict[str, Any], output: str, *, seal: bool
) -> Ended[Heap]:
    """Look, ask where there is someone to ask, and delete; each table's heap or its refusal."""
    from .. import log

    log.set_up(json=True if asked["json_logs"] else None, quiet=asked["quiet"])
    terms = _terms_of(asked)
    s3_only, force = bool(asked["s3_only"]), asked["force"] and not asked["dry_run"]
    if not force:
        ended = _run(connections, jobs, lambda yard, _: _survey(yard, terms), s3_only=s3_only)
        _report(ended, output, deleted=False)
        force = _agreed(ended, seal=seal, dry_run=asked["dry_run"])
        if not force:
            return ended
    ended = _run(
        connections, jobs, lambda yard, who: _delete(yard, terms, who if seal else None), s3_only
    )
    _report(ended, output, deleted=True)
    return ended


def _agreed(ended: Ended[Heap], *, seal: bool, dry_run: bool) -> bool:
    going = any(not isinstance(each, Error) and each.going for _, each in ended)
    if dry_run or not (going or seal):
        return False
    if not sys.stdin.isatty():
        complain("Note: nothing was deleted: say --force")
        return False
    return click.confirm("Delete it?", err=True)


async def _listed(yard: Yard) -> Heap:
    from ..clean import pile_up

    return await pile_up(yard.shelf, yard.layout)


async def _survey(yard: Yard, terms: Terms) -> Heap:
    from ..clean import survey

    return await survey(yard, terms)


async def _delete(yard: Yard, terms: Terms, sealer: str | None) -> Heap:
    from ..clean import remove, seal, survey

    if sealer is not None:
        await seal(yard.register, sealer)
    heap = await survey(yard, terms)
    await remove(yard, heap)
    return heap


def _of_one(asked: dict[str, Any], work: Work[Heap], *, s3_only: bool = False) -> Heap:
    connections, job = _job(asked)
    from .. import log

    log.set_up(json=None, quiet=True)
    ((_, found),) = _run(connections, [job], work, s3_only=s3_only)
    if isinstance(found, Error):
        raise found
    return found


def _job(asked: dict[str, Any]) -> tuple[Connections, Job]:
    """The one table that is asked for, by the names that sync has for it."""
    connections = options.connections_of(asked["config"])
    name = asked["name"]
    pipelines = options.pipelines_of(asked["config"], [name]) if name is not None else [None]
    from ..service import Ask, resolve

    wanted = Ask((asked["table"],), pipelines[0], asked["source"], asked["target"])
    return connections, resolve(connections, wanted)


def _jobs(connections: Connections, found: Sequence[Standing]) -> tuple[list[Job], Ended[Any]]:
    """The tables whose states lie in the bucket, one job each; and those that cannot be had."""
    jobs: list[Job] = []
    refused: Ended[Any] = []
    for standing in found:
        try:
            jobs.append(_job_of(connections, standing))
        except Error as error:
            refused.append((standing.table, error))
    return jobs, refused


def _job_of(connections: Connections, standing: Standing) -> Job:
    from ..model import TableName, TableSpec
    from ..service import Job

    if standing.error is not None:
        raise standing.error
    state = standing.state
    target = state.target if state is not None else ""
    places = [name for name in connections.targets if target.startswith(f"{name}.")]
    if not places or standing.source not in connections.sources:
        raise ConfigError(
            "the table's source or target is not configured",
            pipeline=standing.pipeline,
            table=standing.table,
            source=standing.source,
            target=target,
            hint="name them in connections.yml as they were when the table was synced",
        )
    place = max(places, key=len)
    spec = TableSpec(TableName.parse(standing.table), target=target.removeprefix(f"{place}."))
    return Job(standing.pipeline, standing.source, place, (spec,))


def _run(
    connections: Connections, jobs: Sequence[Job], work: Work[Result], s3_only: bool
) -> Ended[Result]:
    return options.run_async(_each(connections, jobs, work, s3_only=s3_only))


async def _each(
    connections: Connections, jobs: Sequence[Job], work: Work[Result], *, s3_only: bool
) -> Ended[Result]:
    """The work for each table, one after the other; one's failure stops no other."""
    from ..clean import yard_of
    from ..service import MEMORY, PARALLEL, Stop, open_ends
    from ..staging import share

    ended: Ended[Result] = []
    async with open_ends(connections, jobs) as ends:
        for job in jobs:
            line = ends.line(job, share(MEMORY, PARALLEL), Stop())
            for spec in job.specs:
                yard = yard_of(line, spec, ends.store, s3_only=s3_only)
                try:
                    ended.append((str(spec.table), await work(yard, str(line.claim))))
                except Error as error:
                    ended.append((str(spec.table), error))
    return ended


def _terms_of(asked: dict[str, Any]) -> Terms:
    from ..commit.clean import Terms

    return Terms(
        loaded=dt.timedelta(seconds=asked["older_than"]),
        grace=dt.timedelta(seconds=asked["grace"]),
        pattern=asked["pattern"],
    )


def _report(ended: Ended[Heap], output: str, *, deleted: bool) -> None:
    found = [(table, heap) for table, heap in ended if not isinstance(heap, Error)]
    if output == "json":
        write_json([_document(table, heap, deleted=deleted) for table, heap in found])
        return
    for table, heap in found:
        if heap.going and not deleted:
            say_table(_GOING, [_row(pile) for pile in heap.going])
        say(_line(table, heap, deleted=deleted))


def _document(table: str, heap: Heap, *, deleted: bool) -> dict[str, object]:
    from ..clean import removal

    figures = removal(heap)
    return {
        "table": table,
        "deleted": deleted,
        "objects": figures.objects,
        "bytes": figures.size,
        "uploads": figures.uploads,
        "decisions": [_row(pile) for pile in heap.piles],
        "strange": list(heap.strange),
    }


def _line(table: str, heap: Heap, *, deleted: bool) -> str:
    from ..clean import removal

    figures = removal(heap)
    stays = sum(pile.size for pile in heap.piles if not pile.reason.goes)
    word = "deleted" if deleted else "would be deleted"
    uploads = f", {figures.uploads:,} uploads taken back" if figures.uploads else ""
    return (
        f"{table}: {figures.objects:,} objects ({_size(figures.size)}) {word}{uploads};"
        f" {_size(stays)} stay"
    )


def _row(pile: Pile) -> dict[str, object]:
    at = pile.attempt
    return {
        "name": pile.name,
        "kind": "copy" if at is None else "batch" if pile.upload_id is None else "upload",
        "reason": pile.reason.value,
        "collectable": "yes" if pile.reason.goes else "no",
        "generation": at.generation if at is not None else None,
        "epoch": at.epoch if at is not None else None,
        "seq": at.seq if at is not None else None,
        "objects": len(pile.keys),
        "bytes": pile.size,
        "age": str(pile.age),
        "first": pile.oldest.isoformat() if pile.oldest is not None else None,
        "last": pile.newest.isoformat() if pile.newest is not None else None,
    }


def _size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
