"""The stand-in behind an SSH bastion: what is dialled is 127.0.0.1, what is verified the name.

The sandbox's own gate in an asyncssh server of the test's; a local forward through it, held by
the test; over the forward a pool with TLS fully verified. That is the way from outside of a VPC.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg
import asyncssh
import psycopg
import pytest

from s3rs_async.redshift.dial import _Connection, _NamedContext
from s3rs_async.sandbox import tls
from s3rs_async.sandbox.bastion import Gate
from tests.standin.orders import DDL, FIRST, READ, load
from tests.standin.site import Site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.standin.servers import StandIn

pytestmark = pytest.mark.standin

NAME, PORT = "cluster.example.redshift.test", 5439


@dataclass
class Way:
    """A forward through the bastion, and the connection that holds it."""

    port: int
    holder: asyncssh.SSHClientConnection


@asynccontextmanager
async def tunnel(standin: StandIn, folder: Path) -> AsyncIterator[Way]:
    """A bastion that knows the cluster by its name alone, and a local port that leads there."""
    host, client = tls.key_pair(folder / "host"), tls.key_pair(folder / "client")
    routes = folder / "routes"
    routes.mkdir()
    (routes / f"{NAME}:{PORT}").write_text(str(standin.port))
    bastion = await asyncssh.create_server(
        lambda: Gate(client.public, routes), "127.0.0.1", 0, server_host_keys=[str(host.private)]
    )
    known = asyncssh.import_known_hosts(f"[127.0.0.1]:{bastion.get_port()} {host.line}\n")
    options: dict[str, Any] = {"config": None, "agent_path": None, "client_keys": [client.private]}
    async with (
        bastion,
        asyncssh.connect(
            "127.0.0.1", bastion.get_port(), username="tunnel", known_hosts=known, **options
        ) as holder,
        await holder.forward_local_port("127.0.0.1", 0, NAME, PORT) as listener,
    ):
        yield Way(listener.get_port(), holder)


def verified(standin: StandIn) -> ssl.SSLContext:
    """The project's own context: it asks for the cluster's name whatever address was dialled."""
    context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.expected_name = NAME
    context.load_verify_locations(cafile=str(standin.certificate))
    return context


def login(standin: StandIn, way: Way, context: ssl.SSLContext) -> dict[str, Any]:
    named = {"connection_class": _Connection, "statement_cache_size": 0}
    return {**standin.login, "port": way.port, "ssl": context, **named}


async def test_a_pool_of_4_does_12_loads_through_the_tunnel(
    standin_tls: StandIn, at: Site, tmp_path: Path
) -> None:
    async with tunnel(standin_tls, tmp_path) as way:
        settings = login(standin_tls, way, verified(standin_tls))
        async with (
            asyncpg.create_pool(**settings, min_size=4, max_size=4) as pool,
            asyncio.TaskGroup() as group,
        ):
            jobs = [group.create_task(job(pool, at, number)) for number in range(12)]
        assert [each.result() for each in jobs] == [FIRST] * 12


async def job(pool: asyncpg.Pool, at: Site, number: int) -> list[tuple[Any, ...]]:
    """Load a table of its own in one transaction; what it then holds."""
    table = f"orders_{number}"
    async with pool.acquire() as connection:
        assert connection._transport.get_extra_info("cipher")
        async with connection.transaction():
            await connection.execute(f"SET search_path TO {at.schema}")
            await connection.execute(DDL.replace("orders", table, 1))
            await connection.execute(load(at, f"tunnel-{number}", FIRST, table))
            return [tuple(row) for row in await connection.fetch(READ.replace("orders", table))]


async def test_the_address_that_is_dialled_is_not_the_name_that_is_verified(
    standin_tls: StandIn, tmp_path: Path
) -> None:
    usual = ssl.create_default_context(cafile=str(standin_tls.certificate))
    wrong = verified(standin_tls)
    wrong.expected_name = "another.example.redshift.test"
    async with tunnel(standin_tls, tmp_path) as way:
        for context in (usual, wrong):
            with pytest.raises(ssl.SSLCertVerificationError):
                await asyncpg.connect(**login(standin_tls, way, context))
        connection = await asyncpg.connect(**login(standin_tls, way, verified(standin_tls)))
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()


async def test_psycopg_verifies_the_name_and_dials_the_near_end(
    standin_tls: StandIn, tmp_path: Path
) -> None:
    given = standin_tls.login
    async with (
        tunnel(standin_tls, tmp_path) as way,
        await psycopg.AsyncConnection.connect(
            host=NAME,
            hostaddr="127.0.0.1",
            port=way.port,
            user=given["user"],
            password=given["password"],
            dbname=given["database"],
            sslmode="verify-full",
            sslrootcert=str(standin_tls.certificate),
        ) as connection,
    ):
        assert connection.pgconn.ssl_in_use
        assert await (await connection.execute("SELECT 1")).fetchone() == (1,)


async def test_a_cancel_request_finds_its_way_through_the_tunnel(
    standin_tls: StandIn, at: Site, tmp_path: Path
) -> None:
    async with tunnel(standin_tls, tmp_path) as way:
        settings = login(standin_tls, way, verified(standin_tls))
        holder, waiter = await asyncpg.connect(**settings), await asyncpg.connect(**settings)
        await holder.execute(f"CREATE TABLE {at.schema}.t (a INT)")
        await holder.execute("BEGIN")
        await holder.execute(f"LOCK {at.schema}.t")
        with pytest.raises(TimeoutError):
            await waiter.fetch(f"SELECT a FROM {at.schema}.t", timeout=0.4)
        assert await waiter.fetchval("SELECT 1") == 1
        await waiter.close()
        await holder.close()


async def test_a_tunnel_that_breaks_breaks_its_connections_and_a_transaction_is_gone(
    standin_tls: StandIn, at: Site, tmp_path: Path
) -> None:
    straight = {**standin_tls.login, "ssl": verified(standin_tls)}
    async with tunnel(standin_tls, tmp_path) as way:
        doomed = await asyncpg.connect(**login(standin_tls, way, verified(standin_tls)))
        await doomed.execute(f"CREATE TABLE {at.schema}.t (a INT)")
        await doomed.execute("BEGIN")
        await doomed.execute(f"INSERT INTO {at.schema}.t VALUES (1)")
        way.holder.abort()
        with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)):
            await doomed.execute("COMMIT", timeout=10)
        doomed.terminate()
        again = await asyncpg.connect(**straight)
        async with again.transaction():
            await again.execute(f"LOCK {at.schema}.t", timeout=5)
            assert await again.fetchval(f"SELECT count(*) FROM {at.schema}.t") == 0
        await again.close()


async def test_the_bastion_leads_nowhere_else(standin_tls: StandIn, tmp_path: Path) -> None:
    async with tunnel(standin_tls, tmp_path) as way:
        with pytest.raises(asyncssh.ChannelOpenError):
            await way.holder.open_connection("127.0.0.1", standin_tls.port)
