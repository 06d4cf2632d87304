"""The incident: a source grew to 53 columns, its target has 51.

A COPY of such a file fails on the target with a text that names no column (the stand-in's own
checks show it). `s3rs sync` must not get there: it compares first, and names what is missing.
"""

from __future__ import annotations

from tests.acceptance.cli import Cli, cli

__all__ = ["cli"]

NUMBERED = [f"c{n:02}" for n in range(1, 50)]  # with id and changed they are 51
GROWN = ("loyalty_tier", "referrer_code")


def source_of_53(cli: Cli, table: str) -> None:
    columns = ", ".join(f"{name} INT" for name in [*NUMBERED, *GROWN])
    key = "id INT PRIMARY KEY AUTO_INCREMENT"
    stamp = "changed TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)"
    cli.mysql(
        f"CREATE TABLE {table} ({key}, {columns}, {stamp})",
        f"INSERT INTO {table} (c01) VALUES (1), (2), (3)",
    )


def target_of_51(cli: Cli, table: str) -> None:
    columns = ", ".join(f"{name} INTEGER" for name in NUMBERED)
    cli.redshift(
        f"CREATE TABLE {cli.schema}.{table}"
        f" (id INTEGER NOT NULL, {columns}, changed TIMESTAMP, PRIMARY KEY (id))"
    )


def copies(cli: Cli) -> list[str]:
    """What was ever copied, or tried to, for this test's tables."""
    found = cli.redshift("SELECT coalesce(data_source, '') FROM sys_load_history")
    return [source for (source,) in found if f"/{cli.prefix}/" in source]


def test_a_target_that_lacks_two_columns_is_told_by_name_and_no_copy_is_tried(cli: Cli) -> None:
    source_of_53(cli, "members")
    target_of_51(cli, "members")
    cli.sync("members").fails(3, "no longer have the same columns", *GROWN)
    assert cli.redshift(f"SELECT count(*) FROM {cli.schema}.members") == [(0,)]
    assert copies(cli) == []


def test_what_the_hint_says_mends_it(cli: Cli) -> None:
    source_of_53(cli, "members")
    target_of_51(cli, "members")
    ended = cli.sync("members")
    ended.fails(3, *GROWN)
    hint = ended.lines[1].removeprefix("Hint: run ")
    for statement in hint.split("; "):
        assert statement.startswith("ALTER TABLE"), hint
        cli.redshift(statement)
    cli.sync("members").does()
    cli.is_equal("members", "id, c01, referrer_code")
    assert len(copies(cli)) == 1
