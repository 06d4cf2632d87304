"""Rows read anew by their keys, and keys that are gone at the source deleted at the target."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from s3rs_async import service
from s3rs_async.config import load_connections, load_pipeline
from s3rs_async.errors import DataError, SchemaDriftError
from s3rs_async.model import KeyList
from s3rs_async.mysql.walk import KEYS_AT_ONCE
from tests.acceptance.cli import Cli, cli, make_notes
from tests.acceptance.states import read_state

if TYPE_CHECKING:
    from pathlib import Path

    from s3rs_async.report import TableReport

__all__ = ["cli"]

ROWS = 2 * KEYS_AT_ONCE + 9


@pytest.fixture(autouse=True)
def _keys_to_s3(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in cli.box.s3.environment.items():
        monkeypatch.setenv(name, value)


def sent(cli: Cli, errand: KeyList, config: Path | None = None, **how: Any) -> TableReport:
    """The errand, and what is told of it; its failure is raised."""
    folder = config or cli.config()
    connections = load_connections(folder, {})
    pipeline = load_pipeline(folder, "shop", {}) if config is not None else None
    ask = service.Ask((f"{cli.database}.notes",), pipeline, errand=errand, **how)
    (report,) = asyncio.run(service.sync(connections, ask)).report.tables
    if report.error is not None:
        raise report.error
    return report


def keys(*numbers: int) -> tuple[tuple[str, ...], ...]:
    return tuple((str(number),) for number in numbers)


def test_named_rows_are_merged_in_one_batch_and_those_that_are_gone_are_not_there(cli: Cli) -> None:
    make_notes(cli, rows=ROWS)
    cli.sync("notes").does()
    cli.mysql("UPDATE notes SET note = 'new', changed = changed", "DELETE FROM notes WHERE id = 2")
    before = read_state(cli, "notes")

    report = sent(cli, KeyList(keys(*range(1, ROWS - 1))))

    assert (report.meter.rows_read, report.meter.batches) == (ROWS - 3, 1)
    after = read_state(cli, "notes")
    assert (after.position, after.next_seq) == (before.position, before.next_seq + 1)
    old = cli.redshift(f"SELECT id FROM {cli.schema}.notes WHERE note <> 'new' ORDER BY 1")
    assert old == [(2,), (ROWS - 1,), (ROWS,)]


@pytest.mark.parametrize("how", [{}, {"cdc_strategy": "id_only", "apply": "append"}])
def test_keys_that_are_gone_are_deleted_and_those_that_are_there_are_kept(
    cli: Cli, how: dict[str, str]
) -> None:
    make_notes(cli, rows=ROWS)
    config = cli.pipeline({"notes": how})
    cli.run("sync", "-p", "shop", config=config).does()
    cli.mysql("DELETE FROM notes WHERE id % 3 = 0")
    read = read_state(cli, "notes", "shop").rows.extracted

    report = sent(cli, KeyList(keys(*range(1, ROWS + 1)), gone=True), config)

    assert report.meter.rows_read == report.meter.rows_loaded == ROWS // 3
    assert report.target_rows == ROWS - ROWS // 3
    cli.is_equal("notes")
    state = read_state(cli, "notes", "shop")
    assert state.rows.extracted == read  # nothing was extracted
    again = cli.run("sync", "-p", "shop", config=config).does()
    assert f"0 rows read, 0 loaded, target holds {ROWS - ROWS // 3:,}" in again.out


KEYS = {
    "composite": ("a INT, b VARCHAR(20), PRIMARY KEY (a, b)", ["(1, 'é''x\\\\')", "(1, 'b')"]),
    "binary": ("a VARBINARY(8) PRIMARY KEY", ["(x'00ff')", "(x'')"]),
    "decimal": ("a DECIMAL(20,4) PRIMARY KEY", ["(12.5)", "(-0.0001)"]),
    "moment": ("a DATETIME(3) PRIMARY KEY", ["('2026-01-01 10:00:00.123')", "('0000-00-00')"]),
    "span": ("a TIME(6) PRIMARY KEY", ["('-800:00:00.5')", "('00:00:01')"]),
    "unsigned": ("a BIGINT UNSIGNED PRIMARY KEY", ["(18446744073709551615)", "(0)"]),
    "enumeration": ("a ENUM('x','y') PRIMARY KEY", ["('y')", "('x')"]),
    "long text": ("a VARCHAR(700) PRIMARY KEY", ["(REPEAT('a', 700))", "('A')"]),
}
DATES = {"moment": "text"}


@pytest.mark.parametrize("name", KEYS)
def test_keys_of_every_kind_are_deleted(cli: Cli, name: str) -> None:
    columns, (gone, kept) = KEYS[name]
    cli.mysql(
        "SET sql_mode = ''",
        f"CREATE TABLE notes ({columns}) CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
        f"INSERT INTO notes VALUES {gone}, {kept}",
    )
    config = cli.pipeline({"notes": {"cdc_strategy": "full_sync", **_policies(name)}})
    cli.run("sync", "-p", "shop", config=config).does()
    names = [row[0] for row in cli.mysql("SHOW COLUMNS FROM notes")]
    texts = [_text(row) for row in cli.mysql(f"SELECT {_shown(name, names)} FROM notes")]
    cli.mysql("SET sql_mode = ''", f"DELETE FROM notes WHERE ({', '.join(names)}) = {gone}")
    left = len(cli.mysql("SELECT * FROM notes"))

    report = sent(cli, KeyList(tuple(texts), gone=True), config)

    assert (left, report.meter.rows_loaded, report.target_rows) == (1, 1, 1)


def _policies(name: str) -> dict[str, str]:
    return {"dates": DATES[name]} if name in DATES else {}


def _shown(name: str, names: list[str]) -> str:
    form = "LOWER(HEX({}))" if name == "binary" else "CAST({} AS CHAR)"
    return ", ".join(form.format(each) for each in names)


def _text(row: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(str(cell) for cell in row)


def test_where_the_source_spells_a_key_otherwise_the_other_spelling_is_gone(cli: Cli) -> None:
    cli.mysql(
        "CREATE TABLE notes (id VARCHAR(20) PRIMARY KEY) COLLATE utf8mb4_general_ci",
        "INSERT INTO notes VALUES ('abc')",
    )
    config = cli.pipeline({"notes": {"cdc_strategy": "full_sync"}})
    cli.run("sync", "-p", "shop", config=config).does()
    cli.redshift(f"INSERT INTO {cli.schema}.notes VALUES ('ABC')")

    sent(cli, KeyList((("abc",), ("ABC",)), gone=True), config)

    assert cli.redshift(f"SELECT id FROM {cli.schema}.notes") == [("abc",)]


def test_a_target_that_is_gone_is_not_made_of_keys_alone(cli: Cli) -> None:
    make_notes(cli)
    cli.sync("notes").does()
    cli.mysql("DELETE FROM notes WHERE id = 1")
    sent(cli, KeyList(keys(1), gone=True), load=False)
    cli.redshift(f"DROP TABLE {cli.schema}.notes")

    with pytest.raises(DataError, match="the target is gone"):
        sent(cli, KeyList(keys(2)))

    assert cli.tables() == set()


def test_a_key_whose_column_has_become_another_deletes_nothing(cli: Cli) -> None:
    make_notes(cli)
    cli.sync("notes").does()
    cli.mysql("DELETE FROM notes WHERE id = 1", "ALTER TABLE notes MODIFY id BIGINT")

    with pytest.raises(SchemaDriftError, match="no longer have the same columns"):
        sent(cli, KeyList(keys(1), gone=True))

    assert len(cli.redshift(f"SELECT id FROM {cli.schema}.notes")) == 3
