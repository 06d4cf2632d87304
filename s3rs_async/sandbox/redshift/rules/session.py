"""Log-in, the wire, settings, transactions and locks."""

from __future__ import annotations

from .rule import Rule

SESSION: tuple[Rule, ...] = (
    Rule("L1", "VACUUM cannot run inside a transaction block", ("D",)),
    Rule("L4", "TRUNCATE commits what went before", ("D", "I")),
    Rule(
        "X1", "a transaction reads one snapshot, taken at its first statement, not at BEGIN", ("D",)
    ),
    Rule(
        "X1a", "a lost race is XX000 with message 1023, and its DETAIL names the table", ("D", "M")
    ),
    Rule("X1b", "with serializable isolation, reads and writes in a cycle are a lost race", ("D",)),
    Rule("X1c", "a table younger than the snapshot: message 1018", ("D",)),
    Rule("X2", "writes lock the whole table until the transaction ends; readers go on", ("D",)),
    Rule("X3", "LOCK takes no snapshot: what it waited for is seen after it", ("A",)),
    Rule("X3a", "LOCK keeps readers out too", ("D",)),
    Rule("X4", "a vanished client's transaction is rolled back at once", ("A",)),
    Rule("X5", "a cancelled or timed-out statement says: cancelled on user's request", ("I",)),
    Rule("X6", "BEGIN takes any isolation level, and the database's own is what runs", ("D",)),
    Rule("X7", "CANCEL stops another session's statement by its process", ("D",)),
    Rule("X8", "a write in a READ ONLY transaction: transaction is read-only", ("A",)),
    Rule("S3", "a setting that Redshift does not have is refused", ("I",), "refused"),
    Rule("S3a", "Redshift's own settings are kept until RESET", ("D",)),
    Rule("S3b", "SHOW server_version is for superusers", ("I",), "refused"),
    Rule("W1", "the server says 8.0.2 and padb_version", ("I",)),
    Rule("W1a", "the server says padb_revision, by which asyncpg knows Redshift", ("A",)),
    Rule("W2", "a wrong password and an unknown user are both 28000", ("A",)),
    Rule("W3", "an unknown database is 3D000", ("A",)),
    Rule("W4", "SUPER and VARBYTE have type numbers of their own, 4000 and 6551", ("M",)),
)
