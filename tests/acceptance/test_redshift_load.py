"""Batches enter the stand-in as in production: SSH forward, TLS by name, S3 files, uvloop.

What is cut or cancelled in its middle is tried on asyncio's own loop too.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg
import pyarrow as pa
import pytest
import uvloop

from s3rs_async.config import TargetConfig, TunnelConfig
from s3rs_async.errors import ConfigError, DataError, Error, UnavailableError
from s3rs_async.model import (
    Column,
    Mode,
    TableKeys,
)
from s3rs_async.redshift import dial, ledger, sql
from s3rs_async.redshift import schema as live
from s3rs_async.redshift.connection import Session, Target, open_target
from s3rs_async.redshift.enter import Order, StopError
from s3rs_async.redshift.loader import load
from s3rs_async.tunnel import Address, Bastions, open_bastions
from tests.acceptance.batches import (
    ARROW,
    COLUMNS,
    TERMS,
    Line,
    loaded,
    opened,
    row,
    some_rows,
    ssh_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from s3rs_async.commit import LedgerHead
    from s3rs_async.sandbox import Box

    Owner = Callable[[str], None]
    Run = Callable[[Coroutine[Any, Any, None]], None]


both_loops = pytest.mark.parametrize("run", ["asyncio", "uvloop"], indirect=True)
"""For what rests on how a loop cancels, and on how it tells of a line that was cut."""


@pytest.fixture
def run(request: pytest.FixtureRequest) -> Run:
    """On the loop that the product runs on, unless the test asks for both."""
    loop = getattr(request, "param", "uvloop")
    factory = uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop

    def running(body: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(body)

    return running


@pytest.fixture
def as_owner(box: Box) -> Iterator[Owner]:
    """Run a statement as the one who may do anything."""
    server = box.redshift.postgres
    login = f"host={server.socket_folder} user={server.user} dbname={box.redshift.database}"
    with psycopg.connect(login, autocommit=True) as owner:

        def execute(statement: str) -> None:
            owner.execute(statement.encode())

        yield execute


@pytest.fixture
def locked(as_owner: Owner, prefix: str) -> Iterator[str]:
    """A schema that the pipeline's user has no right in."""
    name = prefix.replace("-", "_")
    as_owner(f"CREATE SCHEMA {name}")
    yield name
    as_owner(f"DROP SCHEMA {name} CASCADE")


@pytest.fixture
def line(box: Box, prefix: str, schema: str) -> Line:
    return Line(box, prefix, schema)


def test_an_append_adds_every_row(run: Run, line: Line) -> None:
    async def body() -> None:
        first = line.batch([row(1, "a"), row(1, "a"), row(2, None)], Mode.APPEND)
        second = line.batch([row(1, "a")], Mode.APPEND)
        head = await loaded(line, first, second)
        assert (head.batch, head.seq, head.rows_total) == (second.manifest.batch, 2, 4)
        assert head.position == second.position

    run(body())
    assert line.notes() == [(1, "a"), (1, "a"), (1, "a"), (2, None)]
    assert line.head() == [(line.parent, 4)]


def test_a_merge_keeps_the_latest_version_of_each_key(run: Run, line: Line) -> None:
    async def body() -> None:
        first = line.batch([row(1, "old", 1), row(1, "new", 2), row(1, "null", None), row(2, "b")])
        second = line.batch([row(2, "B", 5), row(3, "c")])
        head = await loaded(line, first, second)
        assert head.rows_total == 3

    run(body())
    assert line.notes() == [(1, "new"), (2, "B"), (3, "c")]
    assert [(copied, deleted) for _, _, copied, deleted in line.ledger()] == [(4, 0), (2, 1)]


def test_of_several_cursors_the_first_that_is_set_tells_the_latest_version(
    run: Run, line: Line
) -> None:
    line.columns = (
        *COLUMNS,
        Column("made", "datetime", "timestamp[us]", nullable=True, redshift="TIMESTAMP"),
    )
    names = ("id", "Note", "changed", "made")
    versions = [(1, "old", at(5), at(1)), (1, "new", None, at(9)), (2, "b", None, None)]
    rows = pa.Table.from_pylist(
        [dict(zip(names, version, strict=True)) for version in versions],
        schema=ARROW.append(pa.field("made", pa.timestamp("us"))),
    )

    async def body() -> None:
        order = line.batch(rows)
        manifest = replace(order.manifest, cursor_else=("made",))
        head = await loaded(line, replace(order, manifest=manifest))
        assert head.rows_total == 2

    run(body())
    assert line.notes() == [(1, "new"), (2, "b")]


def at(minute: int) -> dt.datetime:
    return dt.datetime(2026, 1, 1, 0, minute)


def test_a_replace_leaves_only_its_own_rows_and_may_have_none(run: Run, line: Line) -> None:
    async def body() -> None:
        await loaded(line, line.batch([row(1), row(2)]), line.batch([row(3), row(3, "l", 9)], R))
        assert line.notes() == [(3, "l")]
        head = await loaded(line, line.batch([], R, generation=2))
        assert (head.rows_total, head.generation) == (0, 2)

    run(body())
    assert line.notes() == []


R = Mode.REPLACE


def test_every_value_arrives_as_it_was(run: Run, line: Line) -> None:
    run_rows = [row(7, "é€😀"), (8, None, None, None)]

    async def body() -> None:
        await loaded(line, line.batch(run_rows, Mode.APPEND))

    run(body())
    found = line.query(f"SELECT id, note, changed, amount FROM {line.schema}.orders ORDER BY id")
    assert found == run_rows


def test_a_count_that_is_not_the_manifests_changes_nothing(run: Run, line: Line) -> None:
    async def body() -> None:
        good = line.batch([row(1, "a")])
        await loaded(line, good)
        bad = line.batch([row(1, "z"), row(2, "b")])
        part = bad.manifest.parts[0]
        wrong = replace(bad.manifest, parts=(replace(part, rows=part.rows + 1),))
        with pytest.raises(DataError, match="counts other rows") as caught:
            await loaded(line, replace(bad, manifest=wrong))
        assert (caught.value.context["found"], caught.value.context["wanted"]) == (2, 3)
        assert line.head() == [(good.manifest.batch, 1)]
        await loaded(line, bad)

    run(body())
    assert line.notes() == [(1, "z"), (2, "b")]


def test_a_batch_given_twice_is_loaded_once(run: Run, line: Line) -> None:
    async def body() -> None:
        first, second = line.batch([row(1)], Mode.APPEND), line.batch([row(2)], Mode.APPEND)
        head = await loaded(line, first, first, second)
        assert await loaded(line, first) == head

    run(body())
    assert [key for key, _ in line.notes()] == [1, 2]
    assert len(line.ledger()) == 2


def test_the_ledgers_readers_tell_the_chain_and_what_is_in_it(run: Run, line: Line) -> None:
    async def body() -> None:
        async with opened(line) as target, target.session() as session:
            assert await ledger.chain(session, line.target) == ()
            assert await ledger.loaded_batches(session, line.target) == set()
        orders = [line.batch([row(1), row(2)]), line.batch([row(1)]), line.batch([], R)]
        await loaded(line, *orders)
        async with opened(line) as target, target.session() as session:
            chain = await ledger.chain(session, line.target)
            batches = await ledger.loaded_batches(session, line.target)
        one, two, three = (order.manifest.batch for order in orders)
        assert batches == {one, two, three}
        assert [(each.seq, each.batch, each.parent) for each in chain] == [
            (1, one, ""),
            (2, two, one),
            (3, three, two),
        ]
        assert [(each.mode, each.rows_copied, each.rows_deleted) for each in chain] == [
            ("merge", 2, 0),
            ("merge", 1, 1),
            ("replace", 0, 2),
        ]
        assert {(each.generation, each.position) for each in chain} == {(1, orders[0].position)}
        assert all(isinstance(each.loaded_at, dt.datetime) for each in chain)

    run(body())


def test_an_append_keeps_what_its_key_would_have_merged(run: Run, line: Line) -> None:
    async def body() -> None:
        orders = []
        for rows in ([row(1, "a"), row(1, "b")], [row(1, "c")]):
            order = line.batch(rows, Mode.APPEND)
            orders.append(replace(order, manifest=replace(order.manifest, merge_key=("id",))))
        head = await loaded(line, *orders)
        assert await loaded(line, *reversed(orders)) == head
        assert head.rows_total == 3

    run(body())
    assert line.notes() == [(1, "a"), (1, "b"), (1, "c")]
    assert [entry[1:] for entry in line.ledger()] == [("append", 2, 0), ("append", 1, 0)]


def test_the_load_that_makes_the_target_lays_it_out(run: Run, line: Line) -> None:
    async def body() -> None:
        async with opened(line) as target:
            for number, keys in enumerate(
                (TableKeys("ID", ("changed", "note")), TableKeys("note"))
            ):
                await load(target, [line.batch([row(number)])], replace(TERMS, keys=keys))

    run(body())
    shown = "SELECT diststyle, sortkey1, sortkey_num FROM svv_table_info WHERE schema = '{}'"
    assert line.query(shown.format(line.schema)) == [("KEY(id)", "changed", 2)]


def test_sessions_that_race_load_exactly_once(run: Run, line: Line) -> None:
    async def body() -> None:
        order = line.batch([row(1), row(2)], Mode.APPEND)
        async with opened(line) as one, opened(line) as two, asyncio.TaskGroup() as group:
            racing = [
                group.create_task(_patiently(target, order)) for target in (one, two, one, two)
            ]
        assert len({task.result() for task in racing}) == 1

    run(body())
    assert [key for key, _ in line.notes()] == [1, 2]
    assert len(line.ledger()) == 1


async def _patiently(target: Target, order: Order) -> LedgerHead:
    """As the caller's retry does: a clean failure is tried again."""
    for _ in range(20):
        try:
            return await load(target, [order], TERMS)
        except UnavailableError:
            await asyncio.sleep(0.05)
    return await load(target, [order], TERMS)


def test_another_pipeline_is_refused_and_named(run: Run, line: Line) -> None:
    async def body() -> None:
        await loaded(line, line.batch([row(1)]))
        intruder = replace(line, pipeline="other")
        with pytest.raises(ConfigError, match="another pipeline") as caught:
            await loaded(line, intruder.batch([row(9)]))
        assert caught.value.context["feeder"] == "shop"

    run(body())
    assert line.notes() == [(1, None)]


def test_a_batch_under_another_digest_stops(run: Run, line: Line) -> None:
    async def body() -> None:
        order = line.batch([row(1)])
        await loaded(line, order)
        with pytest.raises(DataError, match="digest") as caught:
            await loaded(line, replace(order, sha256="1" * 64))
        assert caught.value.context["verdict"] == "tampered"

    run(body())


def test_a_batch_that_does_not_follow_stops(run: Run, line: Line) -> None:
    async def body() -> None:
        await loaded(line, line.batch([row(1)]))
        line.batch([row(2)])
        with pytest.raises(StopError, match="does not follow") as caught:
            await loaded(line, line.batch([row(3)]))
        assert caught.value.context["verdict"] == "diverged"
        assert "s3rs watermark reconcile -p shop -t shop.orders" in caught.value.hint

    run(body())
    assert line.notes() == [(1, None)]


def test_a_target_that_others_filled_is_refused_until_adopted(run: Run, line: Line) -> None:
    async def body() -> None:
        async with opened(line) as target, target.session() as session:
            await session.execute(sql.create_table(line.target.table, line.columns))
            await session.execute(f"INSERT INTO {line.schema}.orders (id) VALUES (5), (6)")
        order = line.batch([row(6, "ours")])
        with pytest.raises(DataError, match="its ledger has none") as caught:
            await loaded(line, order)
        assert "empty it" in caught.value.hint
        async with opened(line) as target:
            head = await load(target, [order], replace(TERMS, adopt=True))
        assert head.rows_total == 2

    run(body())
    assert line.notes() == [(5, None), (6, "ours")]


def test_a_target_that_vanished_is_not_made_again_but_for_a_replace(run: Run, line: Line) -> None:
    async def body() -> None:
        await loaded(line, line.batch([row(1)]))
        line.query(f"DROP TABLE {line.schema}.orders")
        lost = line.batch([row(2)])
        with pytest.raises(DataError, match="target is gone") as caught:
            await loaded(line, lost)
        assert "snapshot" in caught.value.hint
        head = await loaded(line, line.batch([row(3)], R, generation=2))
        assert head.rows_total == 1

    run(body())
    assert line.notes() == [(3, None)]


def test_a_user_without_the_right_to_create_loads_into_tables_that_are_there(
    run: Run, line: Line, as_owner: Owner
) -> None:
    database = f"DATABASE {line.box.redshift.database}"

    async def body() -> None:
        await loaded(line, line.batch([row(1)]))
        as_owner(f"REVOKE CREATE ON {database} FROM awsuser")
        try:
            fresh = Line(line.box, line.prefix, line.schema, table="more")
            assert (await loaded(fresh, fresh.batch([row(1)]))).rows_total == 1
            nowhere = Line(line.box, line.prefix, f"{line.schema}_none")
            with pytest.raises(ConfigError) as caught:
                await loaded(nowhere, nowhere.batch([row(1)]))
        finally:
            as_owner(f"GRANT CREATE ON {database} TO awsuser")
        assert "GRANT CREATE, TEMP ON DATABASE" in caught.value.hint

    run(body())


def _when(
    monkeypatch: pytest.MonkeyPatch, word: str, act: Callable[[Session], Coroutine[Any, Any, None]]
) -> None:
    """Once, while a statement that begins with `word` runs, do `act`."""
    original = Session.execute
    armed = [True]

    async def execute(self: Session, statement: str, *args: Any, **more: Any) -> int:
        if not (statement.startswith(word) and armed):
            return await original(self, statement, *args, **more)
        armed.clear()
        async with asyncio.TaskGroup() as group:
            acting = group.create_task(act(self))
            try:
                done = await original(self, statement, *args, **more)
            except Error as error:
                failed = error
            else:
                assert acting.done(), "the statement ended before its middle"
                return done
        raise failed

    monkeypatch.setattr(Session, "execute", execute)


BIG = 400_000  # long enough a COPY to be met in its middle
EARLY = 0.1


@both_loops
@pytest.mark.parametrize("cut", ["tunnel", "backend"])
def test_a_line_cut_in_mid_copy_is_taken_up_again_from_the_start(
    run: Run, line: Line, monkeypatch: pytest.MonkeyPatch, as_owner: Owner, cut: str
) -> None:
    async def body() -> None:
        order = line.batch(some_rows(BIG), Mode.APPEND)
        async with opened(line) as target:

            async def break_it(session: Session) -> None:
                await asyncio.sleep(EARLY)
                if cut == "tunnel":
                    ssh_of(target).abort()
                else:
                    as_owner(f"SELECT pg_terminate_backend({session.backend_pid})")

            _when(monkeypatch, "COPY", break_it)
            assert (await load(target, [order], TERMS)).rows_total == BIG
            assert len(target.ghosts) == 1

    run(body())
    assert line.query(f"SELECT count(*) FROM {line.schema}.orders") == [(BIG,)]
    assert len(line.ledger()) == 1


@both_loops
def test_a_load_cancelled_in_mid_copy_loads_nothing_and_frees_the_lock(
    run: Run, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body() -> None:
        order = line.batch(some_rows(BIG), Mode.APPEND)
        async with opened(line) as target:
            copying = asyncio.Event()

            async def tell(_: Session) -> None:
                await asyncio.sleep(EARLY)
                copying.set()

            _when(monkeypatch, "COPY", tell)
            async with asyncio.TaskGroup() as group:
                task = group.create_task(load(target, [order], TERMS))
                await copying.wait()
                task.cancel()
            assert task.cancelled()
            short = replace(TERMS, ghost_timeout=5.0)
            assert (await load(target, [order], short)).rows_total == BIG

    run(body())
    assert len(line.ledger()) == 1


@pytest.mark.parametrize("seed", range(2))
def test_any_chain_of_merges_and_replaces_ends_as_a_dictionary_would(
    run: Run, line: Line, seed: int
) -> None:
    """Keys repeat within a batch and across batches, and batches are handed over repeatedly."""
    chance = random.Random(seed)
    wanted: dict[int, str] = {}

    async def body() -> None:
        generation = 1
        async with opened(line) as target:
            for _ in range(8):
                mode = chance.choice([Mode.MERGE, Mode.MERGE, Mode.MERGE, R])
                generation += mode is R
                rows = [
                    row(chance.randrange(6), f"n{chance.randrange(99)}", minute)
                    for minute in range(chance.randrange(6))
                ]
                order = line.batch(rows[::-1], mode, generation=generation)
                for _ in range(chance.randrange(1, 3)):
                    head = await load(target, [order], TERMS)
                if mode is R:
                    wanted.clear()
                wanted.update((key, str(note)) for key, note, _, _ in rows)
                assert head.rows_total == len(wanted)
                assert line.notes() == sorted(wanted.items())

    run(body())


@both_loops
@pytest.mark.parametrize("arrived", [True, False])
def test_a_lost_answer_to_commit_is_resolved_by_the_ledger(
    run: Run, line: Line, monkeypatch: pytest.MonkeyPatch, arrived: bool
) -> None:
    original = Session._send
    cuts = []

    async def body() -> None:
        order = line.batch([row(1), row(2)], Mode.APPEND)
        async with opened(line) as target:

            async def send(self: Session, statement: str, *args: Any, **more: Any) -> str:
                if statement != sql.COMMIT or cuts:
                    return await original(self, statement, *args, **more)
                cuts.append(statement)
                if arrived:
                    await self._connection.execute(statement)
                ssh_of(target).abort()
                await asyncio.sleep(0.1)
                return await original(self, statement, *args, **more)

            monkeypatch.setattr(Session, "_send", send)
            assert (await load(target, [order], TERMS)).batch == order.manifest.batch

    run(body())
    assert cuts == [sql.COMMIT]
    assert [key for key, _ in line.notes()] == [1, 2]
    assert len(line.ledger()) == 1


def test_a_lock_held_by_a_stranger_ends_in_an_error_that_names_it(run: Run, line: Line) -> None:
    async def body() -> None:
        first = line.batch([row(1)])
        async with opened(line) as target, opened(line) as stranger:
            await load(target, [first], TERMS)
            async with stranger.session() as holder:
                await holder.execute(sql.BEGIN)
                await holder.execute(sql.lock_head(line.target))
                with pytest.raises(ledger.LockedError) as caught:
                    await load(target, [line.batch([row(2)])], replace(TERMS, ghost_timeout=0.5))
                assert caught.value.context["holder_pid"] == holder.backend_pid
                assert f"pg_terminate_backend({holder.backend_pid})" in caught.value.hint
                await holder.execute(sql.ROLLBACK)

    run(body())
    assert line.notes() == [(1, None)]


def test_a_ghost_of_our_own_is_ended(run: Run, line: Line) -> None:
    async def body() -> None:
        first, second = line.batch([row(1)]), line.batch([row(2)])
        async with opened(line) as target, opened(line) as dead:
            await load(target, [first], TERMS)
            async with dead.session() as ghost:
                await ghost.execute(sql.BEGIN)
                await ghost.execute(sql.lock_head(line.target))
                target.ghosts.append(ghost.backend_pid)
                head = await load(target, [second], replace(TERMS, ghost_timeout=0.5))
                assert head.rows_total == 2
                with pytest.raises(Error):
                    await ghost.value("SELECT 1")

    run(body())


def test_the_head_can_be_read_and_is_none_before_the_first_load(run: Run, line: Line) -> None:
    async def body() -> None:
        async with opened(line) as target, target.session() as session:
            assert await ledger.read_head(session, line.target) is None
            head = await load(target, [line.batch([row(1)])], TERMS)
            assert await ledger.read_head(session, line.target) == head

    run(body())


def test_a_table_that_we_made_has_no_differences(run: Run, line: Line) -> None:
    async def body() -> None:
        async with opened(line) as target, target.session() as session:
            assert await live.read_columns(session, line.target.table) is None
            await load(target, [line.batch([row(1)])], TERMS)
            columns = await live.read_columns(session, line.target.table)
            assert columns is not None
            assert [(c.name, c.type, c.nullable) for c in columns] == [
                ("id", "BIGINT", False),
                ("note", "VARCHAR(12)", True),
                ("changed", "TIMESTAMP", True),
                ("amount", "DECIMAL(10,2)", True),
            ]
            assert live.differences(line.columns, columns) == []
            await session.execute(f"ALTER TABLE {line.schema}.orders ADD COLUMN extra INTEGER")
            columns = await live.read_columns(session, line.target.table)
            assert columns is not None
            assert live.differences(line.columns, columns) == ["extra INTEGER: only in the target"]

    run(body())


def test_a_file_of_other_types_is_refused_and_says_which_column(run: Run, line: Line) -> None:
    async def body() -> None:
        line.columns = (replace(COLUMNS[0], redshift="INTEGER"), *COLUMNS[1:])
        with pytest.raises(DataError, match="refused the data") as caught:
            await loaded(line, line.batch([row(1)]))
        assert "id" in str(caught.value.context["detail"])
        assert ".parquet" in str(caught.value.context["detail"])

    run(body())
    assert line.notes() == []


def test_a_text_longer_than_its_column_is_refused_never_cut(run: Run, line: Line) -> None:
    async def body() -> None:
        with pytest.raises(DataError):
            await loaded(line, line.batch([row(1, "€€€€€")]))

    run(body())
    assert line.notes() == []


def test_a_name_that_the_certificate_lacks_is_refused(
    run: Run, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The forward leads to the stand-in all the same: only the name is another."""
    real, address = line.config.host, Bastions.address

    async def astray(bastions: Bastions, tunnel: TunnelConfig, _: str, port: int) -> Address:
        return await address(bastions, tunnel, real, port)

    monkeypatch.setattr(Bastions, "address", astray)

    async def body() -> None:
        line.config = line.config.model_copy(update={"host": "elsewhere.internal"})
        with pytest.raises(ConfigError, match="certificate") as caught:
            async with opened(line) as target, target.session():
                pass
        assert "elsewhere.internal" in str(caught.value)
        line.config = line.config.model_copy(update={"tls": "require"})
        async with opened(line) as target, target.session() as session:
            assert await session.value("SELECT 1") == 1

    run(body())


def test_a_certificate_of_an_unknown_authority_is_refused(run: Run, line: Line) -> None:
    async def body() -> None:
        line.config = line.config.model_copy(update={"ca": None})
        with pytest.raises(ConfigError, match="certificate"):
            async with opened(line) as target, target.session():
                pass

    run(body())


def test_a_target_with_a_tunnel_is_never_reached_without_it(run: Run, line: Line) -> None:
    """The target could be reached directly here; the declared bastion cannot."""

    async def body() -> None:
        assert line.config.tunnel is not None
        dead = line.config.tunnel.model_copy(update={"port": 1})
        line.config = line.config.model_copy(
            update={"host": "127.0.0.1", "port": line.box.redshift.port, "tls": "require"}
        )
        without = line.config.model_copy(update={"tunnel": None})
        async with open_target("standin", without) as target, target.session():
            pass
        line.config = line.config.model_copy(update={"tunnel": dead})
        with pytest.raises(UnavailableError, match="bastion"):
            async with opened(line) as target, target.session():
                pytest.fail("reached without the tunnel")

    run(body())


def test_a_wrong_password_is_a_matter_of_configuration_and_is_not_told(
    run: Run, line: Line
) -> None:
    async def body() -> None:
        line.config = TargetConfig.model_validate(
            {**line.box.connections["targets"]["standin"], "password": "not-the-password"}
        )
        with pytest.raises(ConfigError, match="let us in") as caught:
            async with opened(line) as target, target.session():
                pass
        assert "not-the-password" not in f"{caught.value!r}{caught.value}{caught.value.hint}"

    run(body())


def test_a_host_behind_the_bastion_that_is_not_there_is_told_as_that(run: Run, line: Line) -> None:
    async def body() -> None:
        line.config = line.config.model_copy(update={"host": "elsewhere.internal"})
        with pytest.raises(UnavailableError, match="bastion cannot reach"):
            async with opened(line) as target, target.session():
                pass

    run(body())


def test_a_missing_right_prints_its_grant(run: Run, line: Line, locked: str) -> None:
    async def body() -> None:
        line.schema = locked
        with pytest.raises(ConfigError, match="lacks a right") as caught:
            await loaded(line, line.batch([row(1)]))
        assert caught.value.hint == f"GRANT USAGE, CREATE ON SCHEMA {locked} TO awsuser"

    run(body())


def test_a_tunnel_that_was_lost_is_opened_again_for_the_next_session(run: Run, line: Line) -> None:
    async def body() -> None:
        async with opened(line) as target:
            async with target.session():
                before = ssh_of(target)
            before.abort()
            await before.wait_closed()
            async with target.session() as session:
                assert await session.value("SELECT 1") == 1
            assert ssh_of(target) is not before

    run(body())


def test_bastions_that_are_lent_are_used_and_stay_open(run: Run, line: Line) -> None:
    async def body() -> None:
        async with open_bastions() as bastions:
            for _ in range(2):
                async with (
                    open_target("standin", line.config, bastions) as target,
                    target.session() as session,
                ):
                    assert await session.value("SELECT 1") == 1
                assert list(bastions.state().values()) == [True]

    run(body())


def test_nothing_is_connected_before_the_first_session(run: Run, line: Line) -> None:
    async def body() -> None:
        async with opened(line) as target:
            assert target.dial.bastions.state() == {}

    run(body())


def test_a_session_takes_only_the_reset_that_redshift_knows() -> None:
    assert dial._Connection.get_reset_query(None) == "RESET ALL;"
