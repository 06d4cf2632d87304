"""`s3rs plan` tells all that a sync would do, or why there would be none, and changes nothing.

A great table without the index that its reading needs is refused before its first pass, and only
then; the statement that mends it is in the hint.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.cli import Cli, cli, make_notes

__all__ = ["cli"]

GREAT = 120_000


def make_great(cli: Cli, name: str = "great") -> None:
    """A table that is read by a time which no index has."""
    cli.mysql(
        f"CREATE TABLE {name} (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(40), changed"
        " TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP)",
        f"INSERT INTO {name} (note, changed) SELECT seq, NOW() - INTERVAL 1 MINUTE"
        f" FROM seq_1_to_{GREAT}",
        f"ANALYZE TABLE {name}",
    )


def of(found: list[dict[str, Any]], table: str) -> dict[str, Any]:
    (one,) = [each for each in found if each["table"].endswith(f".{table}")]
    return one


def test_a_plan_tells_queries_columns_bound_and_what_waits_and_changes_nothing(cli: Cli) -> None:
    make_notes(cli)
    cli.mysql("ALTER TABLE notes ADD COLUMN body LONGTEXT, ADD COLUMN day DATE")
    how = {"columns": {"body": {"long_text": "truncate"}}, "lookback": "10m"}
    config = cli.pipeline({"notes": how})
    before = cli.mysql("SHOW TABLES")

    told = cli.run("plan", "-p", "shop", config=config).does()
    as_json = cli.run("plan", "-p", "shop", "-o", "json", config=config).does()

    assert not cli.objects()
    assert not cli.tables()
    assert cli.mysql("SHOW TABLES") == before
    (plan,) = json.loads(as_json.out)["plan"]
    assert (plan["strategy"], plan["proof"], plan["refused"]) == ("hybrid", "proven", False)
    assert "still add a row below it" in plan["bound_reason"]
    assert plan["index_care"].startswith("nothing is sorted")
    assert plan["pending_batches"] == plan["pending_rows"] == 0
    queries = {each["query"]: each for each in plan["queries"]}
    assert queries["rows by cursor, a chunk after a row"]["explain"].startswith("range by changed")
    assert queries["rows read again, first chunk"]["explain"].startswith("range by changed")
    assert all(each["sql"].startswith("SELECT ") for each in queries.values())
    columns = {each["column"]: each for each in plan["columns"]}
    assert columns["id"] == {
        "column": "id",
        "source_type": "int(11)",
        "parquet": "int32",
        "redshift": "INTEGER",
        "fidelity": "exact",
        "notes": [],
    }
    assert columns["body"]["fidelity"] == "may be changed"
    assert "dates: null" in columns["day"]["notes"][0]
    assert columns["body__truncated"]["redshift"] == "BOOLEAN"
    for words in (
        "queries:\n  rows by cursor, first chunk: index by changed, about 3 rows",
        "\n    SELECT `id`, ",
        "\n  id: int(11) -> int32 -> INTEGER: exact\n",
        "\nindex_care: nothing is sorted",
        "\nddl: CREATE TABLE",
    ):
        assert words in told.out


def test_what_waits_in_s3_is_told(cli: Cli) -> None:
    make_notes(cli)
    cli.sync("notes", "--backup-only").does()
    ended = cli.run("plan", "-t", f"mysql:{cli.database}.notes", "-o", "json").does()
    (plan,) = json.loads(ended.out)["plan"]
    assert (plan["pending_batches"], plan["pending_rows"]) == (1, 3)
    assert plan["position"] != "null"


def test_a_great_table_without_its_index_is_refused_until_it_has_it(cli: Cli) -> None:
    make_great(cli)
    make_notes(cli)
    mend = f"ALTER TABLE `{cli.database}`.`great` ADD INDEX (`changed`)"
    config = cli.pipeline({"great": {}, "notes": {}})

    planned = cli.run("plan", "-p", "shop", "-o", "json", config=config)
    planned.fails(2, "scans: allow", mend, f"table={cli.database}.great", "strategy=hybrid")
    found = json.loads(planned.out)["plan"]
    assert [each["refused"] for each in found] == [True, False]
    assert mend in of(found, "great")["index_care"]
    assert "filesort" in json.dumps(of(found, "great")["queries"])
    great = f"{cli.database}.great"
    cli.run("sync", "-p", "shop", "-t", great, "--dry-run", config=config).fails(2, mend)
    cli.run("sync", "-p", "shop", "-t", great, config=config).fails(2, mend, "pipeline=shop")
    assert not any("/great." in key for key in cli.objects())

    cli.mysql(mend)
    assert "120,000 rows read" in cli.run("sync", "-p", "shop", config=config).does().out


def test_scans_that_are_allowed_by_name_and_a_pass_after_the_first_are_not_refused(
    cli: Cli,
) -> None:
    make_great(cli)
    allowed = cli.pipeline({"great": {"scans": "allow"}})
    planned = cli.run("plan", "-p", "shop", config=allowed).does()
    assert "index_care: allowed\n" in planned.out
    assert "the server sorts about " in planned.out

    assert "120,000 loaded" in cli.run("sync", "-p", "shop", config=allowed).does().out
    refused = cli.pipeline({"great": {"scans": "refuse"}})
    assert "0 rows read" in cli.run("sync", "-p", "shop", config=refused).does().out


@pytest.mark.parametrize("how", [{}, {"cdc_strategy": "full_sync"}])
def test_only_a_first_pass_has_its_statements_explained(cli: Cli, how: dict[str, str]) -> None:
    make_notes(cli)
    config = cli.pipeline({"notes": how})
    ((folder, name),) = cli.mysql("SELECT @@datadir, @@general_log_file")
    cli.mysql("SET GLOBAL general_log = ON")
    explained = []
    try:
        for _ in range(2):
            cli.run("sync", "-p", "shop", config=config).does()
            lines = Path(folder, name).read_text(errors="replace").splitlines()
            explained.append(sum("EXPLAIN" in line and cli.database in line for line in lines))
    finally:
        cli.mysql("SET GLOBAL general_log = OFF")
    first, both = explained
    assert first >= 2
    assert both == first


def test_a_table_that_is_read_whole_is_no_scan_and_a_small_one_is_only_warned_of(cli: Cli) -> None:
    make_great(cli)
    make_notes(cli)
    cli.mysql("ALTER TABLE notes DROP INDEX changed")
    config = cli.pipeline({"great": {"cdc_strategy": "full_sync"}, "notes": {}})

    ended = cli.run("plan", "-p", "shop", "-o", "json", config=config).does()

    found = json.loads(ended.out)["plan"]
    assert of(found, "great")["index_care"].startswith("nothing is sorted")
    assert any("ADD INDEX (`changed`)" in words for words in of(found, "notes")["warnings"])
    assert "3 loaded" in cli.run("sync", "-p", "shop", "-t", f"{cli.database}.notes",
                                 config=config).does().out  # fmt: skip


@pytest.mark.parametrize("output", ["table", "json"])
def test_a_table_that_cannot_be_planned_hides_none_of_the_others(cli: Cli, output: str) -> None:
    make_notes(cli)
    tables = [word for name in ("nothing", "notes") for word in ("-t", f"{cli.database}.{name}")]
    ended = cli.run("plan", *tables, "-o", output)
    ended.fails(2, "unknown table")
    assert f"{cli.database}.notes" in ended.out
    assert ("errors" in ended.out) == (output == "json")


def test_a_view_is_planned_by_who_may_see_it(cli: Cli) -> None:
    make_notes(cli)
    cli.mysql("CREATE VIEW seen AS SELECT id, note FROM notes")
    ended = cli.run("plan", "-t", f"{cli.database}.seen", "-o", "json").does()
    (plan,) = json.loads(ended.out)["plan"]
    assert plan["strategy"] == "full_sync"
    assert plan["queries"][0]["explain"].startswith("ALL, about 3 rows")


def test_a_view_that_is_explained_to_nobody_is_planned_and_read_nevertheless(cli: Cli) -> None:
    make_notes(cli)
    user = f"u_{cli.database[-12:]}"
    cli.mysql(
        "CREATE VIEW seen AS SELECT id, note FROM notes",
        f"CREATE USER {user} IDENTIFIED BY 'a password of its own'",
        f"GRANT SELECT ON seen TO {user}",
    )
    own = {"sources.mysql.user": user, "sources.mysql.password": "a password of its own"}
    try:
        config, seen = cli.config(own), f"{cli.database}.seen"
        ended = cli.run("plan", "-t", seen, config=config).does()
        assert "the whole table, first chunk: the server explains it to nobody" in ended.out
        assert "3 loaded" in cli.run("sync", "-t", seen, config=config).does().out
    finally:
        cli.mysql(f"DROP USER {user}")


def test_nothing_to_plan_says_what_to_name(cli: Cli) -> None:
    cli.run("plan").fails(2, "nothing to plan", "-t")


def test_a_query_of_the_users_is_told_with_its_explain_and_is_its_owners_care(cli: Cli) -> None:
    make_notes(cli)
    query = f"SELECT id, note, changed FROM {cli.database}.notes WHERE {{incremental_where}}"
    entry = {"cdc_strategy": "custom_sql", "custom_sql": query, "cdc_timestamp_column": "changed"}
    config = cli.pipeline({"bills": {**entry, "primary_key": "id"}})

    told = cli.run("plan", "-p", "shop", "-o", "json", config=config).does()

    (plan,) = json.loads(told.out)["plan"]
    assert (plan["strategy"], plan["apply"], plan["cursor"]) == ("custom_sql", "merge", "changed")
    assert plan["index_care"].startswith("not judged")
    queries = {each["query"]: each for each in plan["queries"]}
    assert "SELECT id, note, changed FROM" in queries["the query, first chunk"]["sql"]
    assert "rows" in queries["the query, first chunk"]["explain"]
