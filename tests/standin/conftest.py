"""The stand-ins of a test process, and the site that a check gets."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

pytest.register_assert_rewrite(
    *(f"tests.standin.{path.stem}" for path in Path(__file__).parent.glob("check_*.py"))
)

from tests.standin.servers import (  # noqa: E402
    BUCKET,
    ROLE,
    StandIn,
    certificate,
    front,
    postgres,
    s3_server,
)
from tests.standin.site import Place, Site  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def backing() -> Iterator[tuple[Path, str]]:
    """What stands behind the stand-ins: the folder of PostgreSQL's socket, an S3 endpoint."""
    with postgres() as sockets, s3_server() as endpoint:
        yield sockets, endpoint


@pytest.fixture(scope="session")
def standin(backing: tuple[Path, str]) -> Iterator[StandIn]:
    """A stand-in without TLS, md5 log-in."""
    with front(*backing) as running:
        yield running


@pytest.fixture(scope="session")
def standin_tls(backing: tuple[Path, str]) -> Iterator[StandIn]:
    """A stand-in with TLS and clear-text log-in."""
    with tempfile.TemporaryDirectory() as folder:
        cert, key = certificate(Path(folder))
        more = ("--tls-cert", str(cert), "--tls-key", str(key), "--auth", "cleartext")
        with front(*backing, *more) as running:
            running.certificate = cert
            yield running


@pytest.fixture(scope="session")
def place(standin: StandIn) -> Place:
    """The stand-in as checks see it."""
    return Place(standin.login, standin.s3, BUCKET, "checks", ROLE)


@pytest.fixture
def at(place: Place, schema: str) -> Iterator[Site]:
    """A schema and a folder of the test's own, for tests that bring their own connections."""
    login = {**place.login, "dbname": place.login["database"], "sslmode": "disable"}
    del login["database"], login["ssl"]
    with psycopg.connect(**login, autocommit=True) as owner:
        owner.execute(f"CREATE SCHEMA {schema}".encode())
        yield Site(place, schema)
        owner.execute(f"DROP SCHEMA {schema} CASCADE".encode())


_numbers = itertools.count(1)


@pytest.fixture
def schema() -> str:
    """The name of a schema of the test's own."""
    return f"c{next(_numbers)}"
