"""System tables, logs and catalogue functions.

Off, a log or a view is empty where nothing of PostgreSQL's stands in its place, and else shows what
the backend has: its names of types and locks, its relations, its columns.
"""

from __future__ import annotations

from .rule import Rule

CATALOGUE: tuple[Rule, ...] = (
    Rule(
        "C1",
        "a load that fails on a file leaves a load error that outlives the rollback",
        ("D", "M"),
    ),
    Rule("C2", "STL_LOAD_ERRORS and STL_LOADERROR_DETAIL tell the same load error", ("D",)),
    Rule(
        "C3", "a good load is 'completed' in SYS_LOAD_HISTORY, with rows, bytes and files", ("D",)
    ),
    Rule("C4", "a load is 'running' in SYS_LOAD_HISTORY while it runs", ("D",)),
    Rule("C5", "a failed, cancelled or abandoned load is 'aborted' in SYS_LOAD_HISTORY", ("D",)),
    Rule("C6", "a good load whose transaction is rolled back stays 'completed'", ("A",)),
    Rule("C7", "texts of the load logs are CHAR: cut to their width and padded", ("D",)),
    Rule("C8", "each loaded file has a row in SYS_LOAD_DETAIL and STL_LOAD_COMMITS", ("D",)),
    Rule("C9", "an error of the leader leaves an aborted load but no load error", ("A",)),
    Rule("C11", "SVV_TABLE_INFO leaves empty tables out", ("D",)),
    Rule("C12", "PG_TABLE_DEF shows only tables of schemas in the search path", ("D",)),
    Rule(
        "C13", "columns' types are Redshift's words in information_schema and SVV_COLUMNS", ("A",)
    ),
    Rule("C14", "STL_LOAD_ERRORS has a period for each multibyte character of raw_line", ("D",)),
    Rule(
        "C15",
        "SVV_TRANSACTIONS shows one of three lock modes, ShareRowExclusive for writers",
        ("D",),
    ),
    Rule("C16", "a catalogue relation newer than PostgreSQL 8.0 does not exist", ("D", "I")),
    Rule(
        "C17",
        "PG_CLASS, PG_ATTRIBUTE, PG_ATTRDEF, PG_TYPE, PG_USER have Redshift's columns",
        ("D", "I"),
    ),
    Rule("C18", "format_type names SUPER and VARBYTE", ("A",)),
    Rule("C19", "STV_SESSIONS, STV_RECENTS, STV_INFLIGHT and STV_LOCKS show what runs", ("D",)),
    Rule("C22", "PG_CONSTRAINT and pg_get_constraintdef tell of the keys, enforced or not", ("A",)),
    Rule(
        "C21", "SVV_ALL_… and SVV_REDSHIFT_… list schemas, tables and columns by database", ("D",)
    ),
)
