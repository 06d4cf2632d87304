"""Connections, parsed once: YAML or the environment becomes strict frozen models.

After this module nobody validates. It builds nothing: a setting is a value, a component is not.
Secrets are `SecretStr`; their text leaves only where a driver needs it, and no message quotes a
value. An unknown key is an error that names its place and the nearest known one.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from ..document import Document, Loc, read_document
from ..errors import ConfigError

Tls = Literal["off", "require", "verify"]


def _at_home(path: Path) -> Path:
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path's own raises where there is no home


File = Annotated[Path, AfterValidator(_at_home)]
"""A file's path; a leading ~ is this user's home."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TunnelConfig(_Strict):
    """A bastion: SSH with a key and a known host, nothing else."""

    host: str
    port: int = Field(22, ge=1, le=65535)
    user: str
    key: File
    known_hosts: File


class SourceConfig(_Strict):
    """One MySQL or MariaDB server.

    `cursor_time_zone` is the writers' zone for DATETIME cursors; None: the server's own.
    """

    host: str
    port: int = Field(3306, ge=1, le=65535)
    user: str
    password: SecretStr = SecretStr("")
    tls: Tls = "verify"
    ca: File | None = None
    cursor_time_zone: str | None = None


class TargetConfig(_Strict):
    """One Redshift database, reached through `tunnel` or, where none is declared, directly.

    `schema` is where tables go; None: a schema named as the source's.
    """

    host: str
    port: int = Field(5439, ge=1, le=65535)
    database: str
    user: str
    password: SecretStr
    table_schema: str | None = Field(None, alias="schema")
    iam_role: str
    tls: Tls = "verify"
    ca: File | None = None
    tunnel: TunnelConfig | None = None


class S3Config(_Strict):
    """The stage: bucket, prefix, and how to reach them; keys come from the usual AWS places."""

    bucket: str
    prefix: str = "s3rs"
    region: str = "us-east-1"
    endpoint: str | None = None
    access_key: SecretStr | None = None
    secret_key: SecretStr | None = None


class Connections(_Strict):
    """Everything that can be connected to, by name."""

    sources: dict[str, SourceConfig] = Field(min_length=1)
    targets: dict[str, TargetConfig] = Field(min_length=1)
    s3: S3Config


def load_connections(folder: Path | None, environment: Mapping[str, str]) -> Connections:
    """`connections.yml` of `folder`; with no folder, `config/` here, else the environment (v1)."""
    path = (folder if folder is not None else Path("config")) / "connections.yml"
    if folder is None and not path.exists():
        return _from_environment(environment)
    document = read_document(path, environment)
    return _parse(document.value, document)


def one_of(kind: str, names: list[str], wanted: str | None) -> str:
    """The connection meant: the named one, or the only one there is; ConfigError otherwise."""
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted in names:
        return wanted
    if wanted is None:
        raise ConfigError(
            f"there are several {kind}s", names=", ".join(names), hint=f"name one with --{kind}"
        )
    near = difflib.get_close_matches(wanted, names, 1)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(names)}"
    raise ConfigError(f"unknown {kind}", name=wanted, hint=hint)


_ENVIRONMENT: Mapping[str, Loc] = {
    "DB_HOST": ("sources", "default", "host"),
    "DB_PORT": ("sources", "default", "port"),
    "DB_USER": ("sources", "default", "user"),
    "DB_PASSWORD": ("sources", "default", "password"),
    "DB_TLS": ("sources", "default", "tls"),
    "DB_CA": ("sources", "default", "ca"),
    "S3_BUCKET_NAME": ("s3", "bucket"),
    "S3_PREFIX": ("s3", "prefix"),
    "S3_REGION": ("s3", "region"),
    "S3_ENDPOINT_URL": ("s3", "endpoint"),
    "S3_ACCESS_KEY": ("s3", "access_key"),
    "S3_SECRET_KEY": ("s3", "secret_key"),
    "REDSHIFT_HOST": ("targets", "default", "host"),
    "REDSHIFT_PORT": ("targets", "default", "port"),
    "REDSHIFT_DATABASE": ("targets", "default", "database"),
    "REDSHIFT_USER": ("targets", "default", "user"),
    "REDSHIFT_PASSWORD": ("targets", "default", "password"),
    "REDSHIFT_SCHEMA": ("targets", "default", "schema"),
    "REDSHIFT_IAM_ROLE": ("targets", "default", "iam_role"),
    "REDSHIFT_TLS": ("targets", "default", "tls"),
    "REDSHIFT_CA": ("targets", "default", "ca"),
    "REDSHIFT_SSH_BASTION_HOST": ("targets", "default", "tunnel", "host"),
    "REDSHIFT_SSH_BASTION_PORT": ("targets", "default", "tunnel", "port"),
    "REDSHIFT_SSH_BASTION_USER": ("targets", "default", "tunnel", "user"),
    "REDSHIFT_SSH_BASTION_KEY_PATH": ("targets", "default", "tunnel", "key"),
    "REDSHIFT_SSH_BASTION_KNOWN_HOSTS": ("targets", "default", "tunnel", "known_hosts"),
}


def _from_environment(environment: Mapping[str, str]) -> Connections:
    if not environment.get("DB_HOST"):
        raise ConfigError(
            "no connections",
            hint="write config/connections.yml, point S3RS_CONFIG at a folder that has one, "
            "or set DB_HOST, DB_USER, …, S3_BUCKET_NAME, REDSHIFT_HOST, … (see README)",
        )
    tree: dict[str, object] = {}
    for name, loc in _ENVIRONMENT.items():
        if environment.get(name):
            branch = tree
            for key in loc[:-1]:
                branch = branch.setdefault(str(key), {})  # type: ignore[assignment]
            branch[str(loc[-1])] = environment[name]
    return _parse(tree, None)


def _parse(value: object, document: Document | None) -> Connections:
    try:
        return Connections.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise _told(first["loc"], first["type"], first["msg"], document) from None


def _told(loc: Loc, kind: str, message: str, document: Document | None) -> ConfigError:
    if document is None:
        return _told_of_variable(loc, kind, message)
    where = {"at": document.place(loc)}
    key = ".".join(map(str, loc)) or None
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(loc[-1]), _known_keys(loc[:-1]), 1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(_known_keys(loc[:-1]))}"
        return ConfigError("unknown key", key=key, hint=hint, **where)
    if kind == "missing":
        return ConfigError("a key is missing", key=key, hint=f"add {loc[-1]}:", **where)
    hint = "put it in quotes" if kind == "string_type" else "correct it there"
    return ConfigError(f"wrong value: {message.lower()}", key=key, hint=hint, **where)


def _told_of_variable(loc: Loc, kind: str, message: str) -> ConfigError:
    """What is wrong with the environment; where a whole part is missing, its first variable."""
    name = next(name for name, known in _ENVIRONMENT.items() if known[: len(loc)] == loc)
    if kind != "missing":
        return ConfigError(f"wrong value: {message.lower()}", variable=name, hint="correct it")
    return ConfigError(
        "an environment variable is missing",
        variable=name,
        hint=f"set {name}, or write config/connections.yml",
    )


def _known_keys(loc: Loc) -> list[str]:
    """The keys that the model at `loc` has, by walking the models' own fields."""
    model: type[BaseModel] = Connections
    for step in loc:
        fields = {f.alias or name: f.annotation for name, f in model.model_fields.items()}
        if str(step) in fields:
            model = _inner_model(fields[str(step)]) or model
    return [f.alias or name for name, f in model.model_fields.items()]


def _inner_model(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) is None:
        return None
    return next((m for a in get_args(annotation) if (m := _inner_model(a)) is not None), None)
