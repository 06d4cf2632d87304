"""COPY: its statement, its source, its manifest, its credentials and what it answers."""

from __future__ import annotations

from .rule import Rule

_STATEMENT = (
    Rule("1", "COPY matches columns by position, never by name", ("D", "I", "M")),
    Rule("1a", "a missing table is XX000: Cannot COPY into nonexistent table", ("I",)),
    Rule("1b", "a view is refused before anything is listed", ("A",)),
    Rule("2", "a column list maps the file's columns to the listed ones in its order", ("D", "M")),
    Rule("2a", "a listed column that is not there is 42703", ("M",)),
    Rule("2c", "a NOT NULL column without DEFAULT must be listed, else 42601", ("M",)),
    Rule("2d", "identity columns take no part without a column list", ("D",)),
    Rule("2e", "EXPLICIT_IDS loads identity columns from the file", ("D",)),
    Rule("2f", "a list holds an identity column with EXPLICIT_IDS and only then", ("D",)),
    Rule("3", "an unequal number of columns is a Spectrum Scan Error, code 15007", ("I", "M", "D")),
    Rule("4", "an argument that columnar COPY does not take is refused by name", ("D", "M", "I")),
    Rule("4d", "an option that is given twice is refused", ("A",)),
    Rule("4s", "a word that is no option of COPY is a syntax error", ("A",)),
)
_CREDENTIALS = (
    Rule("5", "a role or keys must be given", ("M", "I")),
    Rule("5a", "a role must be one that is associated with the cluster", ("D", "I")),
    Rule("5b", "IAM_ROLE default is the cluster's default role", ("D",)),
    Rule("5c", "roles with commas between them are a chain; each must be allowed", ("D",)),
    Rule("5d", "CREDENTIALS holds a role or keys as name=value", ("D",)),
    Rule("5e", "credentials of another form are refused, code 8001", ("I",)),
    Rule("5f", "keys that S3 does not know or that do not fit are S3's 403, code 8001", ("I",)),
    Rule("5g", "a role and keys together are refused", ("D",)),
)
_SOURCE = (
    Rule("6", "a bucket of another region is S3's redirect, code 8001", ("D", "A")),
    Rule("7", "FROM is a key prefix: every key that begins with it is loaded", ("D",)),
    Rule("7a", "a bucket that is not there is S3's 404, code 8001", ("A",)),
    Rule("7b", "an object that is no Parquet file fails the COPY", ("D",)),
    Rule("8", "no object with the prefix: an error, code 8001", ("I", "M"), "stricter"),
    Rule("10", "keys whose last part begins with . or _ are skipped", ("D", "A")),
    Rule("10a", "empty objects are skipped", ("A",)),
)
_MANIFEST = (
    Rule("9", "with MANIFEST the source is a list of files", ("D",)),
    Rule("9a", "a content_length that is not the object's size fails", ("A",), "stricter"),
    Rule("9b", "an entry needs meta.content_length, else code 15003", ("D", "I")),
    Rule("9c", "a mandatory file that is missing fails the COPY", ("D", "M")),
    Rule("9d", "mandatory is false unless said: a missing file is skipped", ("D",)),
    Rule("9e", "a manifest of which no file is there fails", ("D",)),
    Rule("9f", "a file that is listed twice is loaded twice", ("D",)),
    Rule("9g", "a manifest that is not there is S3's 404", ("I",)),
    Rule("9h", "a manifest that is no JSON of entries fails", ("A",)),
    Rule("9i", "two slashes in a key are two", ("M",)),
    Rule("9j", "= in a key is %3D in an error", ("M",)),
    Rule("9k", "a manifest may name files of another bucket", ("D",)),
)
_OUTCOME = (
    Rule("11", "FILLRECORD fills missing trailing columns with NULL", ("D", "M")),
    Rule("13", "success is a notice of severity INFO with the number of rows", ("I", "M")),
    Rule("13a", "the tag is COPY, without a number", ("M",)),
    Rule("14", "pg_last_copy_count and pg_last_copy_id tell of the last COPY", ("D",)),
    Rule("14a", "a load that fails sets the id, and the count to 0", ("D",)),
    Rule("14b", "a COPY that fails before its load leaves id and count alone", ("D",)),
    Rule("14c", "a COPY whose transaction is rolled back leaves the id alone", ("D",)),
    Rule("15", "a COPY in a transaction is rolled back with it", ("D", "M")),
    Rule("15a", "a failed COPY aborts the transaction: 25P02 after it", ("D", "M")),
    Rule("15b", "one bad row fails the whole COPY", ("D", "M")),
    Rule("16", "a row above 4 MB fails", ("D",)),
)
COPYING: tuple[Rule, ...] = (*_STATEMENT, *_CREDENTIALS, *_SOURCE, *_MANIFEST, *_OUTCOME)
