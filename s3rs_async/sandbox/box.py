"""What a running sandbox is made of, and how it is told to others.

The environment is for processes that work in the sandbox, `connections.yml` for the pipeline's own
configuration. The pipeline gets no straight way to the stand-in: only its name, through the
bastion. The S3 keys are in the environment alone, where AWS's tools look for them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from .mariadb import MySQL
    from .postgres import Postgres
    from .process import Process
    from .s3 import S3

HOST = "redshift.sandbox.internal"
PORT = 5439
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


@dataclass(frozen=True, slots=True)
class Bastion:
    """The way to the stand-in under its own name."""

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
    mysql: MySQL
    s3: S3
    redshift: Redshift
    bastion: Bastion

    @property
    def environment(self) -> dict[str, str]:
        """All that a process needs to work in the sandbox."""
        return {
            "S3RS_CONFIG": str(self.config),
            "S3RS_SANDBOX_MYSQL_URL": self.mysql.url,
            "S3RS_SANDBOX_REDSHIFT_URL": self.redshift.url,
            "S3RS_SANDBOX_S3_URL": self.s3.url,
            "S3RS_SANDBOX_BUCKET": self.s3.bucket,
            **self.s3.environment,
        }

    @property
    def connections(self) -> dict[str, dict[str, object]]:
        """The content of connections.yml."""
        return {
            "sources": {"sandbox": self._source()},
            "targets": {"standin": self._target()},
            "s3": {
                "bucket": self.s3.bucket,
                "prefix": PREFIX,
                "region": self.s3.region,
                "endpoint": self.s3.url,
            },
        }

    def _source(self) -> dict[str, object]:
        return {
            "host": self.mysql.host,
            "port": self.mysql.port,
            "user": self.mysql.user,
            "password": self.mysql.password,
            "tls": "off",
        }

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
            "tunnel": {
                "host": self.bastion.host,
                "port": self.bastion.port,
                "user": self.bastion.user,
                "key": str(self.bastion.key),
                "known_hosts": str(self.bastion.known_hosts),
            },
        }
