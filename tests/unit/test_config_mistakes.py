"""Every kind of mistake in both files: its line and column, its words, and what mends it."""

from __future__ import annotations

from pathlib import Path

import pytest

from s3rs_async.config import load_connections, load_pipeline
from s3rs_async.config.validation import validate
from s3rs_async.errors import ConfigError

CONNECTIONS = """\
sources:
  shop: {host: h, user: u}
targets:
  dw: {host: h, user: u, password: p, database: d, iam_role: r}
s3: {bucket: b}
"""
QUOTES = "a text with a comma, a colon or a # in it needs quotes; "
SOURCE_KEYS = (
    "known: host, port, user, password, tls, ca, cursor_time_zone, protocol, max_row_bytes, "
    "query_timeout, read_timeout, limits, replica_of, tunnel"
)
DURATION = "write it as 90s, 15m or 1h30m"
SIZE = "write it as 128MiB, 4GiB or 500MB"
ZONE = "an offset such as +08:00, or an IANA name such as Europe/Berlin"
BRACES = "indent its settings below it, or write them in braces"
NAME = (
    "take letters, digits, dots, dashes and underscores, 64 at most; "
    "the first a letter or a digit, and not adhoc."
)
MODES = (
    "write cdc_strategy or apply; of mode these are known: incremental, hybrid, timestamp_only, "
    "id_only, full-refresh, full_sync, append, merge, replace"
)


def pair(word: str, ours: str) -> tuple[str, str, str, str]:
    """Another tool's word that is refused."""
    hint = f"here it is called {ours}"
    return f"{word}: x", "4:10", f"unknown key (key=tables.a.b.{word})", hint


def useless(settings: str, place: str, name: str, strategy: str) -> tuple[str, str, str, str]:
    """A setting that a strategy does not use."""
    hint = f"take {name} away, or write another cdc_strategy"
    return settings, place, f"{strategy} has no use for {name}", hint


IN_CONNECTIONS = [
    ("shop: {host", "shop: {pasword: x, host", "2:10", "unknown key (key=sources.shop.pasword)",
     "did you mean password?"),
    ("shop: {host", "shop: {zzz: x, host", "2:10", "unknown key (key=sources.shop.zzz)",
     SOURCE_KEYS),
    ("user: u}", "user: u, password: so,XYZ}", "2:41", "unknown key", f"{QUOTES}{SOURCE_KEYS}"),
    ("user: u}", "user: u, password: so,passwort}", "2:41", "unknown key",
     "did you mean password?"),
    ("s3:", "target: {}\ns3:", "5:1", "unknown key (key=target)", "did you mean targets?"),
    (", iam_role: r", "", "4:3", "a key is missing (key=targets.dw.iam_role)", "add iam_role:"),
    ("s3: {bucket: b}\n", "", "1:1", "a key is missing (key=s3)", "add s3:"),
    ("{bucket: b}", "", "5:1", "wrong value: there is none (key=s3)", "write one"),
    ("{bucket: b}", "[b]", "5:1", "wrong value: keys with values belong here (key=s3)",
     "indent its keys below it"),
    ("\n  shop: {host: h, user: u}", " {}", "1:1",
     "wrong value: dictionary should have at least 1 item after validation, not 0 (key=sources)",
     "correct it there"),
    ("user: u}", "user: u, port: many}", "2:28",
     ("wrong value: input should be a valid integer, unable to parse string as an integer "
     "(key=sources.shop.port)"), "correct it there"),
    ("password: p", "password: 12345678", "4:26",
     "wrong value: input should be a valid string (key=targets.dw.password)", "put it in quotes"),
    ("user: u}", "user: u, tls: on}", "2:28",
     "wrong value: input should be 'off', 'require' or 'verify' (key=sources.shop.tls)",
     "correct it there"),
    ("user: u}", "user: u, cursor_time_zone: Europe}", "2:28",
     "wrong value: unknown time zone (key=sources.shop.cursor_time_zone)", ZONE),
    ("user: u}", "user: u, cursor_time_zone: '+24:00'}", "2:28",
     "wrong value: unknown time zone (key=sources.shop.cursor_time_zone)", ZONE),
    ("user: u}", "user: u, replica_of: shopp}\n  shops: {host: h, user: u}", "2:28",
     "no such primary (key=sources.shop.replica_of)", "did you mean shops?"),
    ("user: u}", "user: u, replica_of: shop}", "2:28",
     "no such primary (key=sources.shop.replica_of)", "there are: none"),
    ("user: u}", "user: u, tunnel: {host: b, user: u, key: k}}", "2:28",
     "a key is missing (key=sources.shop.tunnel.known_hosts)", "add known_hosts:"),
    ("host: h, user: u}", "host: '${NONE}', user: u}", "2:16",
     "an environment variable is not set (variable=NONE)",
     "set NONE, or give a default: ${NONE:-value}"),
    ("host: h, user: u}", "host: '${NONE:?where it is}', user: u}", "2:16",
     "where it is (variable=NONE)", "set NONE, or give a default: ${NONE:-value}"),
    ("user: u}", "user: u, host: g}", "2:28",
     "a key stands twice (key=host, first={file}:2:10)", "keep one of them"),
    ("user: u}", "password: *secret}", "2:29",
     "not YAML (problem=an alias or anchor that can't be followed)",
     "look at indentation, colons and quotes there; quote what begins with a sign"),
]  # fmt: skip

IN_A_TABLE = [
    ("cdc_strateg: x", "4:10", "unknown key (key=tables.a.b.cdc_strateg)",
     "did you mean cdc_strategy?"),
    ("cdc_strategy: custom_sql", "4:10", "there is no query to read",
     "take cdc_strategy away, or write custom_sql: SELECT ..."),
    ("custom_sql: SELECT 1", "4:10", "a query is read by custom_sql alone",
     "take custom_sql away, or write cdc_strategy: custom_sql"),
    ("cdc_strategy: hybrid, custom_sql: SELECT 1", "4:32", "a query is read by custom_sql alone",
     "take custom_sql away, or write cdc_strategy: custom_sql"),
    useless("cdc_strategy: custom_sql, custom_sql: SELECT 1, additional_where: x", "4:58",
            "additional_where", "custom_sql"),
    pair("sql", "custom_sql"),
    ("cdc_strategy: full_sync, apply: append", "4:35",
     "every pass would add the whole table again",
     "take apply away, or write copy_column: a name for the time of each copy"),
    ("apply: append, copy_column: at", "4:25",
     "copies are taken of a whole table, and appended",
     "take copy_column away, or write cdc_strategy: full_sync and apply: append"),
    ("cdc_strategy: binlog", "4:10",
     ("wrong value: input should be 'hybrid', 'timestamp_only', 'id_only', 'full_sync' or "
     "'custom_sql' (key=tables.a.b.cdc_strategy)"), "correct it there"),
    ("apply: upsert", "4:10",
     "wrong value: input should be 'append', 'merge' or 'replace' (key=tables.a.b.apply)",
     "correct it there"),
    ("timestamp_format: epoch", "4:10",
     ("wrong value: input should be 'datetime', 'unix' or 'unix_ms' "
     "(key=tables.a.b.timestamp_format)"), "correct it there"),
    ("every: 15", "4:10", "wrong value: a duration needs a unit (key=tables.a.b.every)", DURATION),
    ("every: '15'", "4:10", "wrong value: a duration needs a unit (key=tables.a.b.every)",
     DURATION),
    ("every: true", "4:10", "wrong value: not a duration (key=tables.a.b.every)", DURATION),
    ("every: 1h-5m", "4:10", "wrong value: not a duration (key=tables.a.b.every)", DURATION),
    ("every: [1m]", "4:10", "wrong value: not a duration (key=tables.a.b.every)", DURATION),
    ("every: 99999999999999h", "4:10",
     "wrong value: a duration out of range (key=tables.a.b.every)", DURATION),
    ("every: 999ms", "4:10",
     "wrong value: a pass can't start more often than every second (key=tables.a.b.every)",
     "write 1s or more"),
    ("batch_size: 4 apples", "4:10", "wrong value: not a size (key=tables.a.b.batch_size)", SIZE),
    ("batch_size: true", "4:10", "wrong value: not a size (key=tables.a.b.batch_size)", SIZE),
    ("batch_size: 0", "4:10",
     "wrong value: a batch needs some rows (key=tables.a.b.batch_size)", "write 1MiB or more"),
    ("batch_time: 10ms", "4:10",
     "wrong value: a batch takes longer than that (key=tables.a.b.batch_time)", "write 1s or more"),
    ("file_size: 1MiB", "4:10",
     "wrong value: not a file's size (key=tables.a.b.file_size)", "write 8MiB to 1GiB"),
    ("file_size: 2GiB", "4:10",
     "wrong value: not a file's size (key=tables.a.b.file_size)", "write 8MiB to 1GiB"),
    ("lookback: -5m", "4:10",
     "wrong value: a duration can't be negative (key=tables.a.b.lookback)", DURATION),
    ("cursor_time_zone: Mars/Olympus", "4:10",
     "wrong value: unknown time zone (key=tables.a.b.cursor_time_zone)", ZONE),
    ("cursor_time_zone: ../../etc/passwd", "4:10",
     "wrong value: unknown time zone (key=tables.a.b.cursor_time_zone)", ZONE),
    ("primary_key: []", "4:10",
     "wrong value: no column is named (key=tables.a.b.primary_key)",
     "name one, or take the key away"),
    ("primary_key: [a, a]", "4:10",
     "wrong value: a column stands twice (key=tables.a.b.primary_key)", "keep one of them"),
    ("primary_key: [a, 3]", "4:27",
     "wrong value: input should be a valid string (key=tables.a.b.primary_key.1)",
     "put it in quotes"),
    ("additional_where: ' '", "4:10",
     "wrong value: string should have at least 1 character (key=tables.a.b.additional_where)",
     "correct it there"),
    ("target_name: a.b.c", "4:10",
     "wrong value: not a table name (key=tables.a.b.target_name)",
     "write it as table or schema.table"),
    ("keys: {distkey: ''}", "4:17",
     "wrong value: string should have at least 1 character (key=tables.a.b.keys.distkey)",
     "correct it there"),
    ("keys: {dist: a}", "4:17", "unknown key (key=tables.a.b.keys.dist)",
     "did you mean distkey?"),
    ("keys: [a]", "4:10", "wrong value: keys with values belong here (key=tables.a.b.keys)",
     "indent its keys below it"),
    ("long_text: cut", "4:10",
     "wrong value: input should be 'fail', 'truncate' or 'null' (key=tables.a.b.long_text)",
     "correct it there"),
    ("columns: {note: {long: cut}}", "4:27", "unknown key (key=tables.a.b.columns.note.long)",
     "did you mean long_text?"),
    ("columns: [c]", "4:10", "wrong value: keys with values belong here (key=tables.a.b.columns)",
     "indent its keys below it"),
    ("lookback: 5m, apply: append", "4:10", "what lookback reads again would be appended again",
     "take lookback away, or write apply: merge"),
    ("apply: replace, cdc_strategy: hybrid", "4:10",
     "only a table that is read whole can be replaced",
     "take apply away, or write cdc_strategy: full_sync"),
    useless("cdc_strategy: id_only, timestamp_format: unix", "4:33", "timestamp_format", "id_only"),
    useless("cdc_strategy: full_sync, timestamp_format: datetime", "4:35", "timestamp_format",
            "full_sync"),
    useless("cdc_strategy: id_only, cdc_timestamp_column: t", "4:33", "cdc_timestamp_column",
            "id_only"),
    useless("cdc_strategy: full_sync, update_key: t", "4:35", "cdc_timestamp_column",
            "full_sync"),
    useless("cdc_strategy: full_sync, cdc_id_column: t", "4:35", "cdc_id_column", "full_sync"),
    useless("cdc_strategy: id_only, lookback: 5m", "4:33", "lookback", "id_only"),
    ("mode: cdc", "4:10", "unknown mode (key=tables.a.b.mode)", MODES),
    ("mode: [append]", "4:10", "unknown mode (key=tables.a.b.mode)", MODES),
    ("mode: append, apply: merge", "4:10", "mode and apply say one thing (key=tables.a.b.mode)",
     "write apply alone"),
    ("cursor_field: a, update_key: a", "4:27",
     "update_key and cursor_field say one thing (key=tables.a.b.update_key)",
     "write cdc_timestamp_column alone"),
    ("cdc_timestamp_column: a, replication_key: a", "4:35",
     "replication_key and cdc_timestamp_column say one thing (key=tables.a.b.replication_key)",
     "write cdc_timestamp_column alone"),
    ("cursor_field: [a, b]", "4:10",
     "several columns (key=tables.a.b.cursor_field)",
     "write cdc_timestamp_column: [first, second] if the first that is not NULL is meant"),
    pair("unique_key", "primary_key"),
    pair("merge_key", "primary_key"),
    pair("interval", "every, and takes a duration such as 15m"),
    pair("schedule", "every, and takes a duration such as 15m"),
    pair("sync_frequency", "every, and takes a duration such as 15m"),
    pair("where", "additional_where"),
    pair("object", "target_name"),
    pair("table_name", "target_name"),
]  # fmt: skip

IN_A_PIPELINE = [
    ("", "1:1", "wrong value: keys with values belong here", "indent its keys below it"),
    ("- a.b\n", "1:1", "wrong value: keys with values belong here", "indent its keys below it"),
    ("target: dw\ntables: [a.b]\n", "1:1", "a key is missing (key=source)", "add source:"),
    ("source: shop\ntarget: dw\n", "1:1", "no tables", "name one: shop.orders: {}"),
    ("source: shop\ntarget: dw\ntables: []\n", "3:1", "no tables", "name one: shop.orders: {}"),
    ("source: shop\ntarget: dw\ntables: a.b\n", "3:1", "tables are keys or a list",
     "write schema.table: {} below it"),
    ("source: shop\ntarget: dw\nstreams: {}\ntables: [a.b]\n", "3:1",
     "unknown key (key=streams)", "here they are called tables"),
    ("source: shop\ntarget: dw\nevery: 1m\ntables: [a.b]\n", "3:1", "unknown key (key=every)",
     "write it in defaults:, or at a table"),
    ("source: shop\ntarget: dw\ndefaults: {target_name: x}\ntables: [a.b]\n", "3:12",
     "unknown key (key=defaults.target_name)", "this is a table's own: write it there"),
    ("source: shop\ntarget: dw\ndefaults: {columns: {a: {}}}\ntables: [a.b]\n", "3:12",
     "unknown key (key=defaults.columns)", "this is a table's own: write it there"),
    ("source: shop\ntarget: dw\ndates: null\ntables: [a.b]\n", "3:1", "unknown key (key=dates)",
     "write it in defaults:, or at a table"),
    ("source: shop\ntarget: dw\ndefaults: [x]\ntables: [a.b]\n", "3:1",
     "wrong value: keys with values belong here (key=defaults)", BRACES),
    ("source: shop\ntarget: dw\ntables: {a.b: x}\n", "3:10",
     "wrong value: keys with values belong here (key=tables.a.b)", BRACES),
    ("source: shop\ntarget: dw\ntables: {a: {}}\n", "3:10", "not a table name",
     "write it as schema.table, e.g. shop.orders"),
    ("source: shop\ntarget: dw\ntables:\n- a.*\n", "4:3", "not a table name",
     "name every table by itself"),
    ("source: shop\ntarget: dw\ntables:\n- a.b: {}\n  every: 1m\n", "4:3", "not a table",
     "write schema.table, and its settings indented below it"),
    ("source: shop\ntarget: dw\ntables:\n  a.b:\n  c.d:\n  a.b:\n", "6:3",
     "a key stands twice (key=a.b, first={file}:4:3)", "keep one of them"),
    ("source: shop\ntarget: dw\ntables:\n- a.b\n- a.b: {}\n", "5:3",
     "a table stands twice (first={file}:4:3)", "keep one of them"),
    ("source: shop\ntarget: dw\npipeline: adhoc.x\ntables: [a.b]\n", "3:1",
     "wrong value: not a pipeline's name (key=pipeline)", NAME),
    ("source: shop\ntarget: dw\npipeline: 2026\ntables: [a.b]\n", "3:1",
     "wrong value: input should be a valid string (key=pipeline)", "put it in quotes"),
    ("source: shop\ntarget: dw\ntables:\n- ${NONE}\n", "4:3",
     "an environment variable is not set (variable=NONE)",
     "set NONE, or give a default: ${NONE:-value}"),
    ("source: shop\ntarget: dw\ndefaults: {lookback: 5m}\ntables:\n  a.b: {apply: append}\n",
     "5:9", "what lookback reads again would be appended again",
     "write lookback: null, which takes the default away, or write apply: merge"),
    ("source: shop\ntarget: dw\ndefaults: {lookback: 5m, apply: append}\ntables: [a.b, a.c]\n",
     "3:12", "what lookback reads again would be appended again",
     "write lookback: null, which takes the default away, or write apply: merge"),
    ("source: shopp\ntarget: dw\ntables: [a.b]\n", "1:1", "unknown source",
     "did you mean shop?"),
    ("source: shop\ntarget: lake\ntables: [a.b]\n", "2:1", "unknown target", "there are: dw"),
    ("source: shop\ntarget: dw\ntables:\n  a.b: {target_name: A.C}\n  a.c:\n", "5:3",
     "two tables go to one target table (first={file}:4:3)",
     "give one of them a target_name of its own"),
]  # fmt: skip


def wrong(folder: Path, environment: dict[str, str]) -> list[tuple[str | None, str, str]]:
    return [(f.at, f.message, f.hint) for f in validate(folder, environment) if not f.ok]


def raised(caught: pytest.ExceptionInfo[ConfigError]) -> tuple[str | None, str, str]:
    error = caught.value
    facts = ", ".join(f"{k}={v}" for k, v in error.context.items() if k != "at")
    message = f"{error.message} ({facts})" if facts else error.message
    return str(error.context["at"]), message, error.hint


@pytest.mark.parametrize(("old", "new", "place", "message", "hint"), IN_CONNECTIONS)
def test_a_mistake_in_connections_is_told_at_its_place(
    tmp_path: Path, old: str, new: str, place: str, message: str, hint: str
) -> None:
    assert old in CONNECTIONS
    file = tmp_path / "connections.yml"
    file.write_text(CONNECTIONS.replace(old, new, 1))
    expected = (f"{file}:{place}", message.replace("{file}", str(file)), hint)

    with pytest.raises(ConfigError) as caught:
        load_connections(tmp_path, {})

    assert raised(caught) == expected
    assert wrong(tmp_path, {}) == [expected]


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        *(
            (f"source: shop\ntarget: dw\ntables:\n  a.b: {{ {settings} }}\n", *told)
            for settings, *told in IN_A_TABLE
        ),
        *IN_A_PIPELINE,
    ],
)
def test_a_mistake_in_a_pipeline_is_told_at_its_place(
    tmp_path: Path, text: str, place: str, message: str, hint: str
) -> None:
    (tmp_path / "connections.yml").write_text(CONNECTIONS)
    file = tmp_path / "pipelines" / "p.yml"
    file.parent.mkdir()
    file.write_text(text)
    expected = (f"{file}:{place}", message.replace("{file}", str(file)), hint)

    assert wrong(tmp_path, {}) == [expected]
    if not message.startswith(("unknown source", "unknown target", "two tables")):
        with pytest.raises(ConfigError) as caught:
            load_pipeline(tmp_path, "p", {})
        assert raised(caught) == expected
