"""What a running sandbox is made of, and how it is told to others.

The environment is for processes that work in the sandbox, `connections.yml` for the pipeline's own
configuration. The pipeline gets no straight way to the stand-in: only its name, through the
bastion. It is the same with those MySQL servers that are `tunnelled`; the others it reaches as they
are, in plain text. The S3 keys are in the environment alone, where AWS's tools look for them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import asyncpg

from ..errors import ConfigError, UnavailableError
from .redshift.dialect.tokens import literal
from .redshift.knobs import PREFIX as PREFIX_OF_KNOBS

if TYPE_CHECKING:
    from pathlib import Path

    from .mariadb import MySQL
    from .postgres import Postgres
    from .process import Process
    from .s3 import S3

DOMAIN = "sandbox.internal"
HOST = f"redshift.{DOMAIN}"
PORT = 5439
MYSQL_PORT = 3306
IAM_ROLE = "arn:aws:iam::123456789012:role/s3rs-sandbox"
PREFIX = "s3rs"


@dataclass(frozen=True, slots=True)
class Redshift:
    """The stand-in: where it really is, and how its clients log in and verify it."""

    port: int
    password: str = field(repr=False)
    ca: Path
    postgres: Postgres = field(repr=False)
    process: Process = field(repr=False, compare=False)
    host: str = "127.0.0.1"
    user: str = "awsuser"
    database: str = "dev"

    @property
    def url(self) -> str:
        """Straight to it, with its password."""
        login = f"{self.user}:{self.password}"
        return f"postgresql://{login}@{self.host}:{self.port}/{self.database}"

    async def turn(self, **knobs: str | float | None) -> None:
        """Turn knobs of the whole stand-in (`redshift.knobs`); None turns one back."""
        try:
            connection = await asyncpg.connect(self.url, ssl=False)
            try:
                for name, value in knobs.items():
                    end = "TO DEFAULT" if value is None else f"TO {literal(str(value))}"
                    await connection.execute(f"ALTER SYSTEM SET {PREFIX_OF_KNOBS}.{name} {end}")
            finally:
                connection.terminate()
        except asyncpg.PostgresError as error:
            raise ConfigError("no such knob, or no such value", said=str(error)) from error
        except OSError as error:
            raise UnavailableError("the stand-in cannot be reached", said=str(error)) from error


@dataclass(frozen=True, slots=True)
class Bastion:
    """The way to the databases under names of their own."""

    port: int
    key: Path
    known_hosts: Path
    process: Process = field(repr=False, compare=False)
    host: str = "127.0.0.1"
    user: str = "tunnel"


@dataclass(frozen=True, slots=True)
class Box:
    """A running sandbox."""

    folder: Path
    config: Path
    mysqls: tuple[MySQL, ...]
    s3: S3
    redshift: Redshift
    bastion: Bastion
    tunnelled: tuple[str, ...] = ()

    @property
    def mysql(self) -> MySQL:
        """The first MySQL server, the only one unless more were asked for."""
        return self.mysqls[0]

    @property
    def environment(self) -> dict[str, str]:
        """All that a process needs to work in the sandbox."""
        return {
            "S3RS_CONFIG": str(self.config),
            **{f"S3RS_SANDBOX_{each.name.upper()}_URL": each.url for each in self.mysqls},
            "S3RS_SANDBOX_REDSHIFT_URL": self.redshift.url,
            "S3RS_SANDBOX_S3_URL": self.s3.url,
            "S3RS_SANDBOX_BUCKET": self.s3.bucket,
            **self.s3.environment,
        }

    @property
    def connections(self) -> dict[str, dict[str, object]]:
        """The content of connections.yml."""
        return {
            "sources": {each.name: self._source(each) for each in self.mysqls},
            "targets": {"standin": self._target()},
            "s3": {
                "bucket": self.s3.bucket,
                "prefix": PREFIX,
                "region": self.s3.region,
                "endpoint": self.s3.url,
            },
        }

    def _source(self, mysql: MySQL) -> dict[str, object]:
        login = {"user": mysql.user, "password": mysql.password}
        if mysql.name not in self.tunnelled:
            return {"host": mysql.host, "port": mysql.port, **login, "tls": "off"}
        name = {"host": mysql_host(mysql.name), "port": MYSQL_PORT}
        verified = {"tls": "verify", "ca": str(mysql.ca)}
        return {**name, **login, **verified, "tunnel": self._tunnel()}

    def _target(self) -> dict[str, object]:
        return {
            "host": HOST,
            "port": PORT,
            "database": self.redshift.database,
            "user": self.redshift.user,
            "password": self.redshift.password,
            "iam_role": IAM_ROLE,
            "tls": "verify",
            "ca": str(self.redshift.ca),
            "tunnel": self._tunnel(),
        }

    def _tunnel(self) -> dict[str, object]:
        return {
            "host": self.bastion.host,
            "port": self.bastion.port,
            "user": self.bastion.user,
            "key": str(self.bastion.key),
            "known_hosts": str(self.bastion.known_hosts),
        }


def mysql_host(name: str) -> str:
    """By which name the bastion knows a MySQL server."""
    return f"{name}.{DOMAIN}"
