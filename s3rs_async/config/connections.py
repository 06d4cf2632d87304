"""Connections, parsed once: YAML or the environment becomes strict frozen models.

Secrets are `SecretStr`; their text leaves only where a driver needs it, and no message quotes a
value. Where there is no file, environment variables are the tree (v1's way), and what is wrong is
told by the variable's name instead of a place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from ..document import Document, Fault, Loc, first_error, in_order, read_document
from ..errors import ConfigError
from .strict import Mistake, Strict, faults, nearest, parse
from .values import File, Zone

Tls = Literal["off", "require", "verify"]
WantedProtocol = Literal["auto", "binary", "text"]


class TunnelConfig(Strict):
    """A bastion: SSH with a key and a known host, nothing else."""

    host: str
    port: int = Field(22, ge=1, le=65535)
    user: str
    key: File
    known_hosts: File

    @property
    def place(self) -> str:
        """The bastion, as messages name it."""
        return f"{self.host}:{self.port}"


class LimitsConfig(Strict):
    """How hard a source may be read, by all tables together; None: as hard as can be.

    At most so many `connections` read rows at once, so many rows and bytes of them a second. Where
    the server has more threads running, a longer history of undo, or lags further behind its
    primary (in seconds) than is said here, it is spared.
    """

    connections: int | None = Field(default=None, ge=1, le=1000)
    rows_per_second: int | None = Field(default=None, ge=1)
    bytes_per_second: int | None = Field(default=None, ge=1)
    threads_running: int | None = Field(default=None, ge=1)
    history_length: int | None = Field(default=None, ge=1)
    replica_lag: float | None = Field(default=None, gt=0)


class SourceConfig(Strict):
    """One MySQL or MariaDB server, reached through `tunnel` or, where none is declared, directly.

    `cursor_time_zone` is the writers' zone for DATETIME cursors; None: the server's own. `protocol`
    is what rows are read in: `auto` is `binary`, and `text` where prepared statements are refused.
    No row may have more than `max_row_bytes`. A server may take `query_timeout` seconds to a
    result's first row, and between its rows be silent for `read_timeout`. `replica_of` names the
    source that is its primary, which then tells how far it may be called read.
    """

    host: str
    port: int = Field(3306, ge=1, le=65535)
    user: str
    password: SecretStr = SecretStr("")
    tls: Tls = "verify"
    ca: File | None = None
    cursor_time_zone: Zone | None = None
    protocol: WantedProtocol = "auto"
    max_row_bytes: int = Field(128 << 20, ge=4 << 20, le=1 << 30)
    query_timeout: float = Field(14_400.0, ge=1, le=604_800)
    read_timeout: float = Field(600.0, ge=1, le=86_400)
    limits: LimitsConfig = LimitsConfig()
    replica_of: str | None = None
    tunnel: TunnelConfig | None = None


class TargetConfig(Strict):
    """One Redshift database, reached through `tunnel` or, where none is declared, directly.

    `schema` is where tables go; None: a schema named as the source's. `ghost_timeout` are the
    seconds for which a load waits for another one of its table, or to learn what became of a COMMIT
    whose answer was lost; `load_timeout` are those that each statement of a load may take.
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
    ghost_timeout: float = Field(600.0, ge=1, le=86_400)
    load_timeout: float = Field(14_400.0, ge=1, le=604_800)
    tunnel: TunnelConfig | None = None


class S3Config(Strict):
    """The stage: bucket, prefix, and how to reach them; keys come from the usual AWS places.

    `claim_ttl` are the seconds for which a silent process still counts as alive: a daemon on
    another host takes its tables that much, and five seconds, later.
    """

    bucket: str
    prefix: str = "s3rs"
    region: str = "us-east-1"
    endpoint: str | None = None
    access_key: SecretStr | None = None
    secret_key: SecretStr | None = None
    claim_ttl: float = Field(30.0, ge=1, le=3600)


class Connections(Strict):
    """Everything that can be connected to, by name."""

    sources: dict[str, SourceConfig] = Field(min_length=1)
    targets: dict[str, TargetConfig] = Field(min_length=1)
    s3: S3Config


@dataclass(frozen=True, slots=True)
class Reading:
    """A connections file and what it says: None where there are faults.

    A variable that is not set comes first among them, since it is no mistake of the file's.
    """

    document: Document
    connections: Connections | None
    faults: list[Fault]


def connections_file(folder: Path | None) -> Path | None:
    """`connections.yml` of the folder, or of `config/` if it is there; None: the environment."""
    path = (folder or Path("config")) / "connections.yml"
    return None if folder is None and not path.exists() else path


def read_connections(path: Path, environment: Mapping[str, str]) -> Reading:
    """One connections file with all its faults; ConfigError where it can't be read at all."""
    document = read_document(path, environment)
    found, mistakes = parse(Connections, document.value)
    mistakes += _no_primaries(found) if found is not None else []
    told = [*document.faults, *in_order(faults(mistakes, document))]
    return Reading(document, None if told else found, told)


def _no_primaries(found: Connections) -> list[Mistake]:
    """The sources whose primary is none: unknown, or a replica itself."""
    primaries = [name for name, source in found.sources.items() if source.replica_of is None]
    return [
        Mistake(("sources", name, "replica_of"), "no such primary", nearest(wanted, primaries))
        for name, source in found.sources.items()
        if (wanted := source.replica_of) is not None and wanted not in primaries
    ]


def load_connections(folder: Path | None, environment: Mapping[str, str]) -> Connections:
    """`connections.yml` of `folder`; with no folder, `config/` here, else the environment (v1)."""
    path = connections_file(folder)
    if path is None:
        found, errors = read_environment(environment)
        if found is None:
            raise errors[0]
        return found
    reading = read_connections(path, environment)
    if reading.connections is None:
        raise first_error(reading.faults)
    return reading.connections


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
    raise ConfigError(f"unknown {kind}", name=wanted, hint=nearest(wanted, names))


_ENVIRONMENT: Mapping[str, Loc] = {
    "DB_HOST": ("sources", "default", "host"),
    "DB_PORT": ("sources", "default", "port"),
    "DB_USER": ("sources", "default", "user"),
    "DB_PASSWORD": ("sources", "default", "password"),
    "DB_TLS": ("sources", "default", "tls"),
    "DB_CA": ("sources", "default", "ca"),
    "SSH_BASTION_HOST": ("sources", "default", "tunnel", "host"),
    "SSH_BASTION_PORT": ("sources", "default", "tunnel", "port"),
    "SSH_BASTION_USER": ("sources", "default", "tunnel", "user"),
    "SSH_BASTION_KEY_PATH": ("sources", "default", "tunnel", "key"),
    "SSH_BASTION_KNOWN_HOSTS": ("sources", "default", "tunnel", "known_hosts"),
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


def read_environment(
    environment: Mapping[str, str],
) -> tuple[Connections | None, list[ConfigError]]:
    """The connections that variables describe, or all that is wrong with them."""
    if not environment.get("DB_HOST"):
        hint = (
            "write config/connections.yml, point S3RS_CONFIG at a folder that has one, "
            "or set DB_HOST, DB_USER, …, S3_BUCKET_NAME, REDSHIFT_HOST, … (see README)"
        )
        return None, [ConfigError("no connections", hint=hint)]
    tree: dict[str, object] = {}
    for name, loc in _ENVIRONMENT.items():
        if environment.get(name):
            branch = tree
            for key in loc[:-1]:
                branch = branch.setdefault(str(key), {})  # type: ignore[assignment]
            branch[str(loc[-1])] = environment[name]
    found, mistakes = parse(Connections, tree)
    return found, [_told_of_variable(mistake) for mistake in mistakes]


def _told_of_variable(mistake: Mistake) -> ConfigError:
    """What is wrong with the environment; where a whole part is missing, its first variable."""
    loc = mistake.loc
    name = next(name for name, known in _ENVIRONMENT.items() if known[: len(loc)] == loc)
    if not mistake.missing:
        return ConfigError(mistake.message, variable=name, hint=mistake.hint)
    return ConfigError(
        "an environment variable is missing",
        variable=name,
        hint=f"set {name}, or write config/connections.yml",
    )
