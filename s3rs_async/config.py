"""Connections, parsed once: YAML or the environment becomes strict frozen models.

After this module nobody validates. It builds nothing: a setting is a value, a component is not.
Secrets are `SecretStr`; their text leaves only where a driver needs it. Text follows YAML 1.2
(`NO`, `off` and `22:30` stay what they look like), a duplicate or unknown key is an error that
names file, line and the nearest known key, and `${VAR}`, `${VAR:-x}`, `${VAR:?message}` are filled
in scalars after parsing, so a value can never change the document's shape.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

Tls = Literal["off", "require", "verify"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TunnelConfig(_Strict):
    """A bastion: SSH with a key and a known host, nothing else."""

    host: str
    port: int = Field(22, ge=1, le=65535)
    user: str
    key: Path
    known_hosts: Path


class SourceConfig(_Strict):
    """One MySQL or MariaDB server."""

    host: str
    port: int = Field(3306, ge=1, le=65535)
    user: str
    password: SecretStr = SecretStr("")
    tls: Tls = "verify"
    ca: Path | None = None
    cursor_time_zone: str | None = None


class TargetConfig(_Strict):
    """One Redshift database, reached through `tunnel` or, where none is declared, directly."""

    host: str
    port: int = Field(5439, ge=1, le=65535)
    database: str
    user: str
    password: SecretStr
    table_schema: str | None = Field(None, alias="schema")
    iam_role: str
    tls: Tls = "verify"
    ca: Path | None = None
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
