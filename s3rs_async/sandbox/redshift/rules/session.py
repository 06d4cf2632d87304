"""Log-in, the wire, settings, transactions and locks."""

from __future__ import annotations

from .rule import Rule

SESSION: tuple[Rule, ...] = (
    Rule("L1", "VACUUM cannot run inside a transaction block", ("D", "A")),
    Rule("L4", "TRUNCATE commits what went before", ("D", "I")),
    Rule("X1", "snapshot isolation; a lost race is XX000 with message 1023", ("D", "M")),
    Rule("X2", "writes lock the whole table until the transaction ends", ("D",)),
    Rule("X3", "LOCK takes no snapshot: what it waited for is seen after it", ("A",)),
    Rule("X4", "a vanished client's transaction is rolled back at once", ("A",)),
    Rule("S3", "a setting that Redshift does not have is refused", ("I",), "refused"),
    Rule("W1", "the server says 8.0.2 and padb_version; TLS when it has a certificate", ("I", "A")),
    Rule("W2", "log-in by md5 or clear text; a wrong password is 28000", ("A",)),
)
