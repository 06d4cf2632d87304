"""Pipelines: each a YAML file that says which tables go from one source to one target, and how.

A file is parsed once, as a whole, and alone: it needs no server, no connections and no other file.
Whether the connections it names are there is asked afterwards (`check_pipeline`). A pipeline's name
is what it writes is filed under, so it is the file's own or its stem, and never that of tables
which were asked for without a pipeline.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..document import Document, Fault, Plain, first_error, in_order, read_document
from ..errors import ConfigError
from .connections import Connections
from .strict import Strict, faults, nearest, parse
from .tables import Entry, Settings, read_tables
from .values import PipelineName, Text, pipeline_name
from .words import CURSOR_WORDS, ELSEWHERE

_SUFFIXES = (".yml", ".yaml")
_ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(
        (*Settings.model_fields, *CURSOR_WORDS, *ELSEWHERE, "mode"),
        "write it in defaults:, or at a table",
    ),
    "streams": "here they are called tables",
    "name": "here it is called pipeline",
}


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One file: its tables, from where to where.

    `notices` are what should be written otherwise, each with its place; `places` has the line and
    column of `source`, `target` and each table.
    """

    name: str
    source: str
    target: str
    entries: tuple[Entry, ...]
    file: Path
    notices: tuple[str, ...] = ()
    places: Mapping[str, tuple[int, int]] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Reading:
    """A pipeline file and what it says: with faults, what of it could be read."""

    pipeline: Pipeline
    faults: list[Fault]
    notices: list[Fault]


class _File(Strict):
    pipeline: PipelineName | None = None
    source: Text
    target: Text
    defaults: object = None
    tables: object = None  # read_tables misses them


def pipeline_files(folder: Path | None) -> list[Path]:
    """The pipeline files of a folder, examples aside, by name."""
    inside = pipelines_folder(folder)
    try:
        found = sorted(inside.iterdir()) if inside.is_dir() else []
    except OSError as error:
        raise ConfigError(
            "the pipelines can't be read",
            folder=str(inside),
            reason=error.strerror,
            hint="let this user read the folder",
        ) from error
    return [path for path in found if path.suffix in _SUFFIXES and _is_meant(path)]


def pipelines_folder(folder: Path | None) -> Path:
    """Where pipelines are: `pipelines` of the folder, or of `config/` here."""
    return (folder or Path("config")) / "pipelines"


def load_pipeline(folder: Path | None, wanted: str, environment: Mapping[str, str]) -> Pipeline:
    """The pipeline of that name, or of the file that a path names."""
    if "/" in wanted or wanted.endswith(_SUFFIXES):
        return _loaded(Path(wanted), environment)
    files = pipeline_files(folder)
    named = [path for path in files if path.stem == wanted]
    names = {} if named else {path: _own_name(path, environment) for path in files}
    named = named or [path for path, name in names.items() if name == wanted]
    if len(named) > 1:
        raise two_files(wanted, named[0], named[1])
    if named:
        return _loaded(named[0], environment)
    inside = pipelines_folder(folder)
    hint = nearest(wanted, names.values()) if names else f"write {inside / wanted}.yml"
    raise ConfigError("unknown pipeline", name=wanted, folder=str(inside), hint=hint)


def load_pipelines(folder: Path | None, environment: Mapping[str, str]) -> list[Pipeline]:
    """Every pipeline of the folder; ConfigError where two files have one name."""
    found: dict[str, Pipeline] = {}
    for path in pipeline_files(folder):
        pipeline = _loaded(path, environment)
        if (other := found.get(pipeline.name)) is not None:
            raise two_files(pipeline.name, other.file, path)
        found[pipeline.name] = pipeline
    return list(found.values())


def check_pipeline(pipeline: Pipeline, connections: Connections) -> None:
    """ConfigError where a pipeline names what is not there, or two of its tables go to one."""
    schemas = {name: target.table_schema for name, target in connections.targets.items()}
    told = list(unconnected(pipeline, connections.sources, schemas))
    if told:
        raise first_error(told)


def read_pipeline(path: Path, environment: Mapping[str, str]) -> Reading:
    """One pipeline file with all its faults; ConfigError where it can't be read at all."""
    document = read_document(path, environment)
    _, mistakes = parse(_File, document.value, _ELSEWHERE)
    value = document.value if isinstance(document.value, dict) else {}
    tables = read_tables(document, value.get("defaults"), value.get("tables"))
    notices = in_order(tables.notices)
    told = [*document.faults, *in_order([*faults(mistakes, document), *tables.faults])]
    if value.get("pipeline") is None and (fault := _unfit_stem(document)) is not None:
        told.append(fault)
    pipeline = Pipeline(
        name=_named(document),
        source=_text(value.get("source")),
        target=_text(value.get("target")),
        entries=tuple(tables.entries),
        file=path,
        notices=tuple(f"{n.at}: {n.message}: {n.hint}" for n in notices),
        places={
            **tables.places,
            "source": document.line_column(("source",)),
            "target": document.line_column(("target",)),
        },
    )
    return Reading(pipeline, told, notices)


def unconnected(
    pipeline: Pipeline, sources: Collection[str], targets: Mapping[str, str | None]
) -> Iterator[Fault]:
    """What does not fit the connections; `targets` has the schema to which each sends all."""
    for kind, name, known in (
        ("source", pipeline.source, sources),
        ("target", pipeline.target, targets),
    ):
        if name and name not in known:
            yield _fault(pipeline, kind, f"unknown {kind}", nearest(name, known))
    first: dict[str, str] = {}
    for entry in pipeline.entries:
        table = str(entry.spec.table)
        place = _target_of(entry, targets.get(pipeline.target))
        if place in first:
            at = _fault(pipeline, first[place], "", "").at
            hint = "give one of them a target_name of its own"
            yield _fault(pipeline, table, "two tables go to one target table", hint, first=at)
        first.setdefault(place, table)


def _target_of(entry: Entry, schema: str | None) -> str:
    """The table a row goes to, as Redshift knows it: in lower case."""
    return str(entry.spec.lands_in(schema)).lower()


def _fault(pipeline: Pipeline, key: str, message: str, hint: str, **facts: str) -> Fault:
    place = pipeline.places.get(key, (1, 1))
    return Fault(pipeline.file, place, message, hint, tuple(facts.items()))


def _is_meant(path: Path) -> bool:
    return not path.name.startswith(".") and not path.stem.endswith(".example")


def _loaded(path: Path, environment: Mapping[str, str]) -> Pipeline:
    reading = read_pipeline(path, environment)
    if reading.faults:
        raise first_error(reading.faults)
    return reading.pipeline


def _own_name(path: Path, environment: Mapping[str, str]) -> str:
    """A file's name for its pipeline, whatever else is wrong with it."""
    try:
        return _named(read_document(path, environment))
    except ConfigError:
        return path.stem


def _named(document: Document) -> str:
    own = document.value.get("pipeline") if isinstance(document.value, dict) else None
    return own if isinstance(own, str) else document.path.stem


def _text(value: Plain) -> str:
    return value.strip() if isinstance(value, str) else ""


def _unfit_stem(document: Document) -> Fault | None:
    """What is wrong with a file that has no name but its own."""
    try:
        pipeline_name(document.path.stem)
    except ValueError:
        return document.fault((), "the file's name can't name a pipeline", "add pipeline: NAME")
    return None


def two_files(name: str, first: Path, second: Path) -> ConfigError:
    """What to say where two files have one name."""
    return ConfigError(
        "two files are one pipeline",
        name=name,
        file=str(second),
        first=str(first),
        hint="give one of them another name: pipeline: NAME",
    )
