"""COPY: its statement, its source, its manifest, its credentials and what it answers."""

from __future__ import annotations

from .rule import Rule

COPYING: tuple[Rule, ...] = (
    Rule("1", "COPY matches columns by position, never by name", ("D", "I", "M")),
    Rule(
        "2",
        "a column list maps file positions to columns; its length is the file's",
        ("D", "M", "I"),
    ),
    Rule("3", "an unequal number of columns is a Spectrum Scan Error, code 15007", ("I", "M", "D")),
    Rule("4", "only the parameters of columnar COPY are accepted", ("D", "M", "I")),
    Rule("5", "a role or credentials must be given", ("D", "M", "I")),
    Rule("5a", "a role must be one that is associated with the cluster", ("I",), "stricter"),
    Rule("6", "the bucket is in the cluster's region", ("D",), "stricter"),
    Rule("7", "FROM is a key prefix: every key that begins with it is loaded", ("D",)),
    Rule("8", "no object with the prefix: an error, code 8001", ("I", "M"), "stricter"),
    Rule(
        "9", "a manifest needs meta.content_length; mandatory files must be there", ("D", "M", "I")
    ),
    Rule("9a", "a content_length that is not the object's size fails", ("A",), "stricter"),
    Rule(
        "10", "keys whose last part begins with . or _ are skipped, empty objects too", ("D", "A")
    ),
    Rule("11", "FILLRECORD fills missing trailing columns with NULL", ("D", "M")),
    Rule("13", "success: a notice of severity INFO and the plain tag COPY", ("I", "M")),
    Rule("14", "pg_last_copy_count and pg_last_copy_id follow the transaction", ("D",)),
    Rule("15", "a failed COPY leaves no row and aborts the block", ("D", "M")),
)
