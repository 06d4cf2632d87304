"""Everything that can be said of a configuration without a server: all that is right or wrong.

Loading stops at the first mistake, since there is nothing to be done with the rest; this goes on,
so that a person mends a file once. What could be read of a broken file still counts: a pipeline is
compared with the connections that are named, even where one of them is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..document import Fault, Plain, in_order
from ..errors import ConfigError, one_line
from .connections import Connections, connections_file, read_connections, read_environment
from .pipeline import (
    Pipeline,
    Reading,
    pipeline_files,
    pipelines_folder,
    read_pipeline,
    two_files,
    unconnected,
)

_ENVIRONMENT = "environment"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing said of a file, at its `file:line:column` where it has one; `ok`: no mistake."""

    file: str
    at: str | None
    message: str
    hint: str
    ok: bool


@dataclass(frozen=True, slots=True)
class _Names:
    """The connections there are: sources, and each target's schema."""

    sources: list[str]
    targets: dict[str, str | None]


def validate(folder: Path | None, environment: Mapping[str, str]) -> list[Finding]:
    """What is right and wrong with connections and pipelines, file by file."""
    names, findings = _connections(folder, environment)
    first: dict[str, Path] = {}
    try:
        files = pipeline_files(folder)
    except ConfigError as error:
        return [*findings, _raised(pipelines_folder(folder), error)]
    for path in files:
        findings += _pipeline(path, environment, names, first)
    return findings


def _connections(
    folder: Path | None, environment: Mapping[str, str]
) -> tuple[_Names | None, list[Finding]]:
    path = connections_file(folder)
    if path is None:
        found, errors = read_environment(environment)
        if found is None:
            return None, [_raised(_ENVIRONMENT, error) for error in errors]
        return _names(found), [_right(_ENVIRONMENT, _counted(found))]
    try:
        reading = read_connections(path, environment)
    except ConfigError as error:
        return None, [_raised(path, error)]
    if reading.connections is None:
        return _draft(reading.document.value), _told(reading.faults)
    return _names(reading.connections), [_right(path, _counted(reading.connections))]


def _pipeline(
    path: Path, environment: Mapping[str, str], names: _Names | None, first: dict[str, Path]
) -> list[Finding]:
    try:
        reading = read_pipeline(path, environment)
    except ConfigError as error:
        return [_raised(path, error)]
    findings = _told([*reading.faults, *_misfits(reading.pipeline, names)])
    other = first.setdefault(reading.pipeline.name, path)
    if other != path:
        findings.append(_raised(path, two_files(reading.pipeline.name, other, path)))
    if not findings:
        findings = [_right(path, _plural(len(reading.pipeline.entries), "table"))]
    return findings + _noticed(reading)


def _misfits(pipeline: Pipeline, names: _Names | None) -> Iterable[Fault]:
    return unconnected(pipeline, names.sources, names.targets) if names is not None else ()


def _names(found: Connections) -> _Names:
    schemas = {name: target.table_schema for name, target in found.targets.items()}
    return _Names(list(found.sources), schemas)


def _draft(value: Plain) -> _Names | None:
    """The names in a file with mistakes, where they are there to be read."""
    tree = value if isinstance(value, dict) else {}
    sources, targets = tree.get("sources"), tree.get("targets")
    if not isinstance(sources, dict) or not isinstance(targets, dict):
        return None
    return _Names(list(sources), {name: _schema(target) for name, target in targets.items()})


def _schema(target: Plain) -> str | None:
    schema = target.get("schema") if isinstance(target, dict) else None
    return schema if isinstance(schema, str) else None


def _told(faults: Iterable[Fault]) -> list[Finding]:
    return [_raised(fault.file, fault.error()) for fault in in_order(faults)]


def _raised(file: Path | str, error: ConfigError) -> Finding:
    told = [f"{k}={v}" for k, v in error.context.items() if k not in {"at", "file"}]
    message = f"{error.message} ({', '.join(told)})" if told else error.message
    at = str(error.context["at"]) if "at" in error.context else None
    return Finding(str(file), at, one_line(message), error.hint, ok=False)


def _noticed(reading: Reading) -> list[Finding]:
    file = str(reading.pipeline.file)
    return [Finding(file, n.at, n.message, n.hint, ok=True) for n in reading.notices]


def _right(file: Path | str, message: str) -> Finding:
    return Finding(str(file), None, message, "", ok=True)


def _counted(found: Connections) -> str:
    sources, targets = len(found.sources), len(found.targets)
    return f"{_plural(sources, 'source')}, {_plural(targets, 'target')}"


def _plural(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
