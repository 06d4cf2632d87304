"""`s3rs verify`: what differs is named, what will come is not, and a repair mends it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.cli import Cli, cli, make_notes
from tests.acceptance.states import read_state

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["cli"]

ROWS = 400
KINDS = {"missing": [["300"], ["7"]], "stale": [["8"]], "doubled": [["9"]]}
GONE = [["10"], ["400"]]


def verdict(cli: Cli, *more: str, code: int = 0, config: Path | None = None) -> dict[str, Any]:
    """What `verify -o json` says of the one table."""
    who = ("-p", "shop") if config is not None else ("-t", f"{cli.database}.notes")
    ended = cli.run("verify", *who, "-o", "json", *more, config=config)
    assert ended.code == code, (ended.code, ended.out, ended.err)
    (found,) = json.loads(ended.out)["verify"]
    return dict(found)


def named(found: dict[str, Any]) -> dict[str, list[list[str]]]:
    """The keys that differ, by what is wrong with them."""
    kinds = (*KINDS, "extra")
    return {kind: found[kind] for kind in kinds if found[kind]}


def plant(cli: Cli) -> None:
    """Of each kind some, behind the ledger's back."""
    table = f"{cli.schema}.notes"
    cli.redshift(f"DELETE FROM {table} WHERE id IN (7, 300)")
    cli.redshift(f"UPDATE {table} SET note = 'other' WHERE id = 8")
    cli.redshift(f"INSERT INTO {table} SELECT * FROM {table} WHERE id = 9")
    cli.mysql("DELETE FROM notes WHERE id IN (10, 400)")


def made(cli: Cli, **how: Any) -> Path:
    """A table that is loaded by a pipeline."""
    make_notes(cli, rows=ROWS)
    config = cli.pipeline({"notes": how})
    cli.run("sync", "-p", "shop", config=config).does()
    return config


def test_equal_tables_are_equal(cli: Cli) -> None:
    make_notes(cli, rows=ROWS)
    cli.sync("notes").does()

    found = verdict(cli)

    assert found["equal"]
    assert (found["source_rows"], found["target_rows"]) == (ROWS, ROWS)
    assert found["not_compared"] == []
    assert found["reached_the_end"]
    assert (found["source_queries"], found["target_queries"]) == (2, 1)
    told = cli.run("verify", "-t", f"{cli.database}.notes").does()
    assert told.out.startswith(f"{cli.database}.notes -> standin.{cli.schema}.notes: equal: 400 ")


def test_what_differs_is_named_by_key_and_kind(cli: Cli) -> None:
    make_notes(cli, rows=ROWS)
    cli.sync("notes").does()
    plant(cli)
    before = read_state(cli, "notes")

    assert named(verdict(cli, code=3)) == {**KINDS, "extra": GONE}
    ended = cli.run("verify", "-t", f"{cli.database}.notes")
    ended.fails(3, "source and target differ", "missing=2", "stale=1", "extra=2", "--repair")
    assert ended.out.splitlines()[1:] == [
        "  missing: 300, 7",
        "  stale: 8",
        "  extra: 10, 400",
        "  doubled: 9",
    ]
    assert read_state(cli, "notes") == before


@pytest.mark.parametrize("deletes", ["hard", "soft"])
def test_a_repair_mends_what_was_named_and_a_second_look_is_clean(cli: Cli, deletes: str) -> None:
    config = made(cli, deletes=deletes)
    plant(cli)
    before = read_state(cli, "notes", "shop")

    mended = verdict(cli, "--repair", config=config)

    assert (mended["repaired"], named(mended), mended["equal"]) == (6, {}, True)
    assert named(verdict(cli, config=config)) == {}
    assert read_state(cli, "notes", "shop").position == before.position
    gone = cli.redshift(f"SELECT COUNT(*) FROM {cli.schema}.notes WHERE id IN (10, 400)")
    if deletes == "hard":
        assert gone == [(0,)]
        cli.is_equal("notes")
    else:
        marked = f"SELECT id FROM {cli.schema}.notes WHERE s3rs_deleted_at IS NOT NULL ORDER BY 1"
        assert (gone, cli.redshift(marked)) == ([(2,)], [(10,), (400,)])


def test_a_row_that_comes_back_is_no_longer_marked(cli: Cli) -> None:
    config = made(cli, deletes="soft")
    plant(cli)
    verdict(cli, "--repair", config=config)
    since = f"SELECT s3rs_deleted_at FROM {cli.schema}.notes WHERE id = 400"
    (first,) = cli.redshift(since)
    cli.mysql("INSERT INTO notes (id, note) VALUES (10, 'again')", "DELETE FROM notes WHERE id = 5")

    cli.run("sync", "-p", "shop", config=config).does()
    verdict(cli, "--repair", config=config)

    marked = f"SELECT id FROM {cli.schema}.notes WHERE s3rs_deleted_at IS NOT NULL ORDER BY 1"
    assert cli.redshift(marked) == [(5,), (400,)]
    assert cli.redshift(since) == [first]  # the moment at which it was first known


def test_what_is_gone_is_left_where_nobody_has_asked_to_delete(cli: Cli) -> None:
    config = made(cli)
    plant(cli)

    ended = cli.run("verify", "-p", "shop", "--repair", config=config)

    ended.fails(3, "extra=2", "deletes: hard (or soft)")
    assert "repaired: 4 rows" in ended.out
    assert named(verdict(cli, code=3, config=config)) == {"extra": GONE}


def test_rows_that_the_next_pass_brings_are_no_difference(cli: Cli) -> None:
    make_notes(cli, rows=ROWS)
    cli.sync("notes").does()
    cli.mysql(
        "UPDATE notes SET note = 'newer' WHERE id IN (3, 4)", "INSERT INTO notes () VALUES ()"
    )

    found = verdict(cli)

    assert (found["equal"], found["waiting_rows"]) == (True, 3)
    counted = verdict(cli, "--level", "counts")
    assert (counted["equal"], counted["waiting_rows"]) == (True, 1)


def test_stamps_that_were_set_back_are_named(cli: Cli) -> None:
    make_notes(cli, rows=ROWS)
    cli.sync("notes").does()
    cli.mysql("UPDATE notes SET note = 'newer', changed = '2020-01-01' WHERE id = 3")

    assert named(verdict(cli, code=3)) == {"stale": [["3"]]}
    assert verdict(cli, "--repair")["equal"]
    cli.is_equal("notes")


def test_counts_tell_that_rows_are_missing_and_not_which(cli: Cli) -> None:
    make_notes(cli, rows=ROWS)
    cli.sync("notes").does()
    cli.redshift(f"UPDATE {cli.schema}.notes SET note = 'other' WHERE id = 8")
    assert verdict(cli, "--level", "counts")["equal"]
    cli.redshift(f"DELETE FROM {cli.schema}.notes WHERE id = 8")

    ended = cli.run("verify", "-t", f"{cli.database}.notes", "--level", "counts")

    ended.fails(3, "source and target differ", "--level checksums")
    assert "400 at the source, 399 at the target" in ended.out


KEYS = {
    "composite": ("a INT, b VARCHAR(20), PRIMARY KEY (a, b)", ["(1, 'é''x\\\\')", "(1, 'b')"]),
    "binary": ("a VARBINARY(8) PRIMARY KEY", ["(x'00ff')", "(x'')"]),
    "decimal": ("a DECIMAL(20,4) PRIMARY KEY", ["(12.5)", "(-0.0001)"]),
    "moment": ("a DATETIME(3) PRIMARY KEY", ["('2026-01-01 10:00:00.120')", "('1999-12-31')"]),
    "day": ("a DATE, b INT, PRIMARY KEY (a, b)", ["('2026-01-01', -1)", "('1999-12-31', 0)"]),
    "unsigned": ("a BIGINT UNSIGNED PRIMARY KEY", ["(18446744073709551615)", "(0)"]),
    "enumeration": ("a ENUM('x','y') PRIMARY KEY", ["('y')", "('x')"]),
    "long text": ("a VARCHAR(700) PRIMARY KEY", ["(REPEAT('a', 700))", "('A')"]),
    "zeros": ("a INT(8) ZEROFILL PRIMARY KEY", ["(7)", "(12345678)"]),
}


@pytest.mark.parametrize("name", KEYS)
def test_rows_are_named_by_keys_of_every_kind(cli: Cli, name: str) -> None:
    columns, (lost, kept) = KEYS[name]
    cli.mysql(
        f"CREATE TABLE notes ({columns}) CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
        f"INSERT INTO notes VALUES {lost}, {kept}",
    )
    config = cli.pipeline({"notes": {"cdc_strategy": "full_sync", "deletes": "hard"}})
    cli.run("sync", "-p", "shop", config=config).does()
    assert verdict(cli, config=config)["equal"]
    first = verdict(cli, "--budget", "1h", config=config) if name not in TEXTS else None
    names = [row[0] for row in cli.mysql("SHOW COLUMNS FROM notes")]
    cli.mysql(f"DELETE FROM notes WHERE ({', '.join(names)}) = {lost}")

    gone = verdict(cli, code=3, config=config)

    assert len(gone["extra"]) == 1, gone
    assert verdict(cli, "--repair", config=config)["repaired"] == 1
    cli.mysql(f"INSERT INTO notes VALUES {lost}")
    missing = verdict(cli, code=3, config=config)
    assert (missing["missing"], missing["extra"]) == (gone["extra"], [])
    assert verdict(cli, "--repair", config=config)["equal"]
    assert first is None or first["reached_the_end"]


TEXTS = {"composite", "enumeration", "long text"}


def test_a_table_without_a_key_is_compared_as_a_whole(cli: Cli) -> None:
    cli.mysql("CREATE TABLE notes (a INT, b VARCHAR(9))", "INSERT INTO notes VALUES (1, 'x')")
    cli.mysql("INSERT INTO notes VALUES (1, 'x'), (2, NULL)")
    cli.sync("notes").does()
    assert verdict(cli)["equal"]
    cli.redshift(f"UPDATE {cli.schema}.notes SET b = 'y' WHERE a = 2")

    ended = cli.run("verify", "-t", f"{cli.database}.notes", "--repair")

    ended.fails(3, "source and target differ", "cannot be named by a key", "--full-refresh")
    cli.run("verify", "-t", f"{cli.database}.notes", "--budget", "1m").fails(
        2, "leave --budget out"
    )


def test_a_budget_ends_it_and_the_next_goes_on_from_there(cli: Cli) -> None:
    make_notes(cli, rows=600_000)
    cli.sync("notes").does()
    cli.redshift(f"DELETE FROM {cli.schema}.notes WHERE id IN (1, 600000)")

    first = verdict(cli, "--budget", "1ms", code=3)
    second = verdict(cli, "--budget", "1ms")
    third = verdict(cli, "--budget", "1h", code=3)
    fourth = verdict(cli, "--budget", "1ms", code=3)

    ends = [each["verified_through"] for each in (first, second, third, fourth)]
    assert ends == [["250000"], ["500000"], None, ["250000"]]
    assert second["begun_after"] == ["250000"]
    assert [named(first), named(third)] == [{"missing": [["1"]]}, {"missing": [["600000"]]}]
    assert [third["reached_the_end"], fourth["begun_after"]] == [True, None]
    removed = cli.run("s3clean", "orphans", "-t", f"{cli.database}.notes").does()
    assert "verified.json" not in removed.out


def test_versions_in_an_append_target_are_no_difference(cli: Cli) -> None:
    config = made(cli, apply="append")
    cli.mysql("UPDATE notes SET note = 'newer' WHERE id = 3", "DO SLEEP(4)")  # old enough
    cli.run("sync", "-p", "shop", config=config).does()
    assert cli.redshift(f"SELECT COUNT(*) FROM {cli.schema}.notes WHERE id = 3") == [(2,)]

    assert named(verdict(cli, config=config)) == {}
    cli.redshift(f"DELETE FROM {cli.schema}.notes WHERE note = 'newer'")
    assert named(verdict(cli, code=3, config=config)) == {"stale": [["3"]]}


def test_what_cannot_be_compared_says_why(cli: Cli) -> None:
    make_notes(cli, rows=3)
    run = ("verify", "-t", f"{cli.database}.notes")
    cli.mysql("CREATE TABLE empty LIKE notes")
    cli.sync("empty").does()
    nothing = cli.run("verify", "-t", f"{cli.database}.empty").does()
    assert ": equal: 0 rows at the source, 0 at the target" in nothing.out
    cli.run(*run).fails(3, "there is no target table", "s3rs sync")
    cli.run(*run, "--repair", "--level", "counts").fails(2, "counts name no rows")
    cli.run("verify").fails(2, "nothing to verify")
    cli.sync("notes").does()
    cli.redshift(f"ALTER TABLE {cli.schema}.notes DROP COLUMN note")
    cli.run(*run).fails(3, "note VARCHAR(160): not in the target")
    cli.redshift(f"DROP TABLE {cli.schema}.notes")
    cli.run(*run).fails(3, "there is no target table")
    copies = {"cdc_strategy": "full_sync", "apply": "append", "copy_column": "taken"}
    config = cli.pipeline({"notes": copies})
    cli.run("verify", "-p", "shop", config=config).fails(2, "dated copies", "leave the table out")
    config = cli.pipeline({"notes": {**copies, "deletes": "hard"}})
    cli.run("verify", "-p", "shop", config=config).fails(2, "deletes: report")


def test_rows_below_the_last_id_are_due_and_others_are_not(cli: Cli) -> None:
    config = made(cli, cdc_strategy="id_only", apply="append")
    cli.mysql("INSERT INTO notes (note) VALUES ('new')", "DELETE FROM notes WHERE id = 10")
    cli.redshift(f"DELETE FROM {cli.schema}.notes WHERE id IN (2, 400)")

    found = verdict(cli, code=3, config=config)

    assert named(found) == {"missing": [["2"], ["400"]], "extra": [["10"]]}
    assert found["waiting_rows"] == 1


def test_rows_without_a_cursor_are_due_by_their_key(cli: Cli) -> None:
    cli.mysql(
        "CREATE TABLE notes (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(9), changed"
        " TIMESTAMP(6) NULL ON UPDATE CURRENT_TIMESTAMP(6), KEY (changed))",
        "INSERT INTO notes (note) VALUES ('a'), ('b'), ('c')",
        "INSERT INTO notes (note, changed) VALUES ('d', NOW() - INTERVAL 1 HOUR)",
    )
    config = cli.pipeline({"notes": {"cdc_strategy": "hybrid", "cdc_timestamp_column": "changed"}})
    cli.run("sync", "-p", "shop", config=config).does()
    cli.mysql("INSERT INTO notes (note) VALUES ('new')")
    cli.redshift(f"DELETE FROM {cli.schema}.notes WHERE id IN (2, 4)")

    found = verdict(cli, code=3, config=config)

    assert (named(found), found["waiting_rows"]) == ({"missing": [["2"], ["4"]]}, 1)
    assert verdict(cli, "--repair", config=config)["repaired"] == 2


def test_rows_that_no_longer_meet_the_condition_are_extra_and_say_so(cli: Cli) -> None:
    config = made(cli, additional_where="note <> 'gone'", deletes="hard")
    cli.mysql("UPDATE notes SET note = 'gone' WHERE id = 5", "DELETE FROM notes WHERE id = 6")

    found = verdict(cli, code=3, config=config)
    ended = cli.run("verify", "-p", "shop", "--repair", config=config)

    assert named(found) == {"extra": [["5"], ["6"]]}
    ended.fails(3, "extra=1", "no longer meet additional_where", "--full-refresh")
    assert "repaired: 1 rows" in ended.out


def test_several_tables_share_a_budget_and_the_longest_waiting_is_next(cli: Cli) -> None:
    for name in ("one", "two"):
        make_notes(cli, name)
    config = cli.pipeline({"one": {}, "two": {}})
    cli.run("sync", "-p", "shop", config=config).does()
    asked = ("verify", "-p", "shop", "--budget", "1ms", "-o", "json")

    turns = [json.loads(cli.run(*asked, config=config).does().out) for _ in range(3)]

    told = [each["verify"][0]["table"].rpartition(".")[2] for each in turns]
    assert told == ["one", "two", "one"]
    assert [len(each["no_time_for"]) for each in turns] == [1, 1, 1]


def test_one_table_that_fails_leaves_the_others_compared(cli: Cli) -> None:
    for name in ("one", "two"):
        make_notes(cli, name)
    config = cli.pipeline({"one": {}, "two": {}})
    cli.run("sync", "-p", "shop", config=config).does()
    cli.redshift(f"DROP TABLE {cli.schema}.one")

    ended = cli.run("verify", "-p", "shop", config=config)

    ended.fails(6, "there is no target table")
    assert ".two: equal" in ended.out


def test_a_repair_that_is_refused_says_why_and_tells_what_was_found(cli: Cli) -> None:
    """A repair goes the way of every pass, so it can be refused as every pass can."""
    config = made(cli)
    plant(cli)
    table = f"{cli.database}.notes"
    cli.run("watermark", "force-reset", "-p", "shop", "-t", table, "--yes", config=config).does()

    ended = cli.run("verify", "-p", "shop", "--repair", config=config)

    assert (ended.code, "is to be replaced" in ended.err) == (2, True), ended.err
    assert "missing: 300, 7" in ended.out
