"""COPY t [(columns)] FROM 's3://...' options, read by tokens and checked against rules 4 and 5.

Only FORMAT PARQUET is emulated. Every option that columnar COPY does not take is refused with the
text of rule 4, a word that is no option of COPY at all is a syntax error.
"""

from __future__ import annotations

from dataclasses import dataclass

from .faults import RedshiftError, not_emulated, syntax_error
from .scan import leader_error
from .tokens import Cursor, Statement

_FORMATS = ("PARQUET", "ORC", "CSV", "JSON", "AVRO", "SHAPEFILE", "FIXEDWIDTH", "DELIMITER")
_WITH_TEXT = frozenset(
    [
        "CREDENTIALS",
        "ACCESS_KEY_ID",
        "SECRET_ACCESS_KEY",
        "SESSION_TOKEN",
        "REGION",
        "NULL",
        "QUOTE",
        "DATEFORMAT",
        "TIMEFORMAT",
        "ENCODING",
        "MASTER_SYMMETRIC_KEY",
    ]
)
_SWITCHES = frozenset({"STATUPDATE", "COMPUPDATE"})
_BARE = frozenset(
    [
        "MANIFEST",
        "FILLRECORD",
        "EXPLICIT_IDS",
        "SERIALIZETOJSON",
        "GZIP",
        "BZIP2",
        "LZOP",
        "ZSTD",
        "ESCAPE",
        "REMOVEQUOTES",
        "ACCEPTANYDATE",
        "BLANKSASNULL",
        "EMPTYASNULL",
        "IGNOREBLANKLINES",
        "NOLOAD",
        "TRIMBLANKS",
        "TRUNCATECOLUMNS",
        "ROUNDEC",
        "ENCRYPTED",
        "IGNOREALLERRORS",
        "SSH",
        "READRATIO",
    ]
)
_NUMBERED = frozenset({"MAXERROR", "IGNOREHEADER", "COMPROWS"})

_COLUMNAR = frozenset(
    [
        "IAM_ROLE",
        "CREDENTIALS",
        "ACCESS_KEY_ID",
        "SECRET_ACCESS_KEY",
        "SESSION_TOKEN",
        "STATUPDATE",
        "MANIFEST",
        "ACCEPTINVCHARS",
        "FILLRECORD",
        "EXPLICIT_IDS",
        "SERIALIZETOJSON",
    ]
)


@dataclass(frozen=True, slots=True)
class CopyStatement:
    """A COPY that has passed the rules a parser can check."""

    table: tuple[str, ...]
    columns: tuple[str, ...]
    source: str
    options: frozenset[str]
    role: str = ""

    @property
    def manifest(self) -> bool:
        """Whether the source is a manifest."""
        return "MANIFEST" in self.options


def _switch(cursor: Cursor) -> None:
    token = cursor.peek()
    if token is not None and token.word in ("ON", "OFF", "TRUE", "FALSE", "PRESET"):
        cursor.take()


def _role(cursor: Cursor) -> str:
    if cursor.accept("DEFAULT"):
        return "default"
    role = cursor.string()
    if not role:
        raise leader_error("5", "IAM role is empty", 8001, "xen_aws_credentials_mgr.cpp:411")
    return role


def _value(cursor: Cursor, word: str) -> None:
    if word in _WITH_TEXT:
        cursor.accept("AS")
        cursor.string()
    elif word in _SWITCHES:
        _switch(cursor)
    elif word in _NUMBERED:
        cursor.accept("AS")
        cursor.number()
    elif word == "ACCEPTINVCHARS":
        cursor.accept("AS")
        token = cursor.peek()
        if token is not None and token.kind == "string":
            cursor.take()
    elif word not in _BARE:
        raise syntax_error(word, "4")


def _options(cursor: Cursor) -> tuple[str, str, frozenset[str]]:
    kind, role, options = "", "", set[str]()
    while not cursor.done:
        word = cursor.take().word
        if word in ("FORMAT", "AS"):
            cursor.accept("AS")
            word = cursor.take().word
            if word not in _FORMATS:
                raise syntax_error(word, "4")
        if word in _FORMATS:
            kind = word
            continue
        if word == "IAM_ROLE":
            role = _role(cursor)
        else:
            _value(cursor, word)
        options.add(word)
    return kind, role, frozenset(options)


def _check(kind: str, options: frozenset[str]) -> None:
    if kind != "PARQUET":
        raise not_emulated(f"COPY of {kind or 'delimited text'}")
    for word in sorted(options - _COLUMNAR):
        message = f"{word} argument is not supported for PARQUET based COPY"
        raise RedshiftError(message, "0A000", rule="4")
    if "ACCEPTINVCHARS" in options:
        raise not_emulated("COPY ACCEPTINVCHARS")
    keyed = {"ACCESS_KEY_ID", "SECRET_ACCESS_KEY"} <= options
    if not (keyed or options & {"IAM_ROLE", "CREDENTIALS"}):
        message = "COPY from this file format only accepts IAM_ROLE credentials."
        raise leader_error("5", message, 8001, "xen_copy.cpp:159")


def parse_copy(statement: Statement) -> CopyStatement:
    """A COPY from S3; a COPY between client and server does not exist on Redshift."""
    cursor = Cursor(statement.tokens, "4")
    cursor.expect("COPY")
    table = cursor.qualified()
    follows = cursor.peek()
    columns = cursor.names() if follows is not None and follows.text == "(" else ()
    cursor.expect("FROM")
    source = cursor.string()
    if not source.startswith("s3://"):
        raise not_emulated("COPY from anything but S3")
    kind, role, options = _options(cursor)
    _check(kind, options)
    return CopyStatement(table, columns, source, options, role)
