"""`s3rs watermark`: how far tables have been read, and what a person may do about it.

Every command that changes a state says first what it would change. It is done with --yes, or when
that is agreed to on a terminal; else nothing is, and that is no failure.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ConfigError, ExitCode
from . import options
from .bench import Asked, changed, one_table, told, with_bench
from .output import say_table, write_json
from .status import pipelines_option, standings_of, tell_standings
from .watermark_files import export, import_

if TYPE_CHECKING:
    from ..override import Bench, Changed

_WATERMARKS = ("pipeline", "source", "table", "target", "watermark", "rows_extracted", "version")
_COPIES = ("version", "modified", "watermark", "epoch", "generation", "pending", "who", "what")
_duplicates = click.option(
    "--allow-duplicates", is_flag=True, help="Have rows twice in an append target."
)
_window = click.option(
    "--replace-window", is_flag=True, help="Replace what an append target was loaded from there on."
)
_yes = click.option("-y", "--yes", is_flag=True, help="Do it without asking.")


@click.group()
def watermark() -> None:
    """How far tables have been read, and what is to be read again."""


watermark.add_command(export)
watermark.add_command(import_)


@watermark.command("list")
@pipelines_option
@options.output_format
@options.config_folder
def list_(names: tuple[str, ...], output: str, config: Path | None) -> int:
    """The watermark of every table."""
    return tell_standings(standings_of(names, config), output, _WATERMARKS)


@watermark.command()
@one_table
@click.option("--show-files", is_flag=True, help="The parts that wait, and those loaded last.")
def get(output: str, show_files: bool, **asked: Any) -> int:  # noqa: ANN401 - click's
    """One table's watermark and everything else that its state says."""
    wanted = Asked(**asked)
    connections, job = wanted.job()
    from ..status import files, standing

    place = (connections, job.pipeline, job.source, job.specs[0].table)
    found = options.run_async(standing(*place))
    if found.error is not None:
        raise found.error
    if found.state is None:
        raise ConfigError(
            "the table has no watermark",
            pipeline=job.pipeline,
            table=wanted.table,
            hint="it was never read under this pipeline: s3rs watermark list shows what was",
        )
    document = found.as_json()
    parts = options.run_async(files(*place)) if show_files else []
    if output == "json":
        write_json({**document, "files": parts} if show_files else document)
        return ExitCode.OK
    told(document)
    if show_files:
        say_table(("batch", "status", "key", "rows", "bytes"), parts)
    return ExitCode.OK


@watermark.command("set")
@one_table
@click.option("--timestamp", help="Read on from this time, in the cursor's own zone.")
@click.option("--id", "identity", help="Read on behind this id.")
@click.option("--skip-rows", is_flag=True, help="Never read what lies before it.")
@_window
@_duplicates
@_yes
def set_(
    timestamp: str | None,
    identity: str | None,
    skip_rows: bool,
    replace_window: bool,
    allow_duplicates: bool,
    yes: bool,
    output: str,
    **asked: Any,  # noqa: ANN401 - click's
) -> int:
    """Set the watermark; the target is left as it is, and what is read again comes again."""
    if timestamp is None and identity is None:
        raise ConfigError(
            "nothing to set",
            hint="give --timestamp, --id or both; s3rs watermark reset sets it to the beginning",
        )
    marks = (timestamp, identity)
    flags = (skip_rows, replace_window, allow_duplicates)

    async def work(bench: Bench, who: str, dry: bool) -> Changed:
        return await _set(bench, who, marks, flags, dry=dry)

    return changed(work, Asked(**asked), output, yes=yes)


@watermark.command()
@one_table
@_window
@_duplicates
@click.option(
    "--preserve-files", is_flag=True, expose_value=False, help="As always: no file is deleted."
)
@_yes
def reset(
    replace_window: bool,
    allow_duplicates: bool,
    yes: bool,
    output: str,
    **asked: Any,  # noqa: ANN401 - click's
) -> int:
    """Set the watermark to the beginning; the target is left as it is."""
    flags = (False, replace_window, allow_duplicates)

    async def work(bench: Bench, who: str, dry: bool) -> Changed:
        return await _set(bench, who, (None, None), flags, dry=dry)

    return changed(work, Asked(**asked), output, yes=yes)


@watermark.command("force-reset")
@one_table
@_yes
def force_reset(yes: bool, output: str, **asked: Any) -> int:  # noqa: ANN401 - click's
    """Let the next sync replace the target, from the beginning."""

    async def work(bench: Bench, who: str, dry: bool) -> Changed:
        from ..override import refresh

        return await refresh(bench.register, who=who, dry=dry)

    return changed(work, Asked(**asked), output, yes=yes)


@watermark.command()
@one_table
@_yes
def reconcile(yes: bool, output: str, **asked: Any) -> int:  # noqa: ANN401 - click's
    """Rebuild the state from the ledger in Redshift, be it stopped, set back, damaged or lost."""

    async def work(bench: Bench, who: str, dry: bool) -> Changed:
        from ..override import reconcile

        return await reconcile(bench, who=who, dry=dry)

    return changed(work, Asked(**asked), output, yes=yes)


@watermark.command()
@one_table
@click.option("--version", type=click.IntRange(1), help="Default: the newest that can be read.")
@click.option("--s3-only", is_flag=True, help="The table is never loaded: ask no ledger.")
@_yes
def restore(version: int | None, s3_only: bool, yes: bool, output: str, **asked: Any) -> int:  # noqa: ANN401 - click's
    """Put a kept copy of the state back, and take the ledger's word for what is loaded."""

    async def work(bench: Bench, who: str, dry: bool) -> Changed:
        from ..override import restore

        return await restore(bench, who=who, version=version, s3_only=s3_only, dry=dry)

    return changed(work, Asked(**asked), output, yes=yes)


@watermark.command()
@one_table
@click.option("--set", "words", multiple=True, metavar="FIELD=VALUE", help="JSON, or a text.")
@click.option("--file", type=click.Path(path_type=Path, dir_okay=False), help="Fields as JSON.")
@_yes
def edit(words: tuple[str, ...], file: Path | None, yes: bool, output: str, **asked: Any) -> int:  # noqa: ANN401 - click's
    """Write some fields of the state as they are given, with its digest made right."""
    fields = _fields(words, file)

    async def work(bench: Bench, who: str, dry: bool) -> Changed:
        from ..override import edit_fields

        return await edit_fields(bench.register, fields, who=who, dry=dry)

    return changed(work, Asked(**asked), output, yes=yes)


@watermark.command()
@one_table
@click.option("--newest", type=click.IntRange(1, 1000), default=20, show_default=True)
def history(newest: int, output: str, **asked: Any) -> int:  # noqa: ANN401 - click's
    """The kept copies of the state, the newest first, and who changed what by hand."""

    async def work(bench: Bench, _: str) -> list[dict[str, object]]:
        from ..override import history

        return [copy.as_json() for copy in await history(bench, newest)]

    rows = options.run_async(with_bench(Asked(**asked), work))
    if output == "json":
        write_json(rows)
    else:
        say_table(_COPIES, rows)
    return ExitCode.OK


async def _set(
    bench: Bench,
    who: str,
    marks: tuple[str | None, str | None],
    flags: tuple[bool, bool, bool],
    *,
    dry: bool,
) -> Changed:
    from ..commit import Consent
    from ..override import edit, form_of, set_watermark

    found = await bench.register.read()
    form = await form_of(bench, found.state if found is not None else None)
    given = filter(None, marks)
    made = edit(f"set-watermark {' '.join(given) or 'to the beginning'}", who)
    where = form.position(*marks)
    return await set_watermark(
        bench.register, where, made, mode=form.mode, consent=Consent(*flags), dry=dry
    )


def _fields(words: tuple[str, ...], file: Path | None) -> dict[str, object]:
    """The fields of the file, and those of the line over them."""
    fields: dict[str, object] = {}
    if file is not None:
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as reason:
            raise ConfigError(
                "not a file of fields", file=str(file), reason=str(reason)
            ) from reason
        if not isinstance(found, dict):
            raise ConfigError("not a file of fields", file=str(file), hint="write a JSON object")
        fields |= found
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ConfigError("not a field and its value", word=word, hint="--set FIELD=VALUE")
        fields[name] = _value(value)
    if not fields:
        raise ConfigError("nothing to edit", hint="give --set FIELD=VALUE or --file")
    return fields


def _value(text: str) -> object:
    try:
        found: object = json.loads(text)
    except ValueError:
        return text
    return found
