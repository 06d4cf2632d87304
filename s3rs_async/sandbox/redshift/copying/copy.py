"""COPY t [(columns)] FROM 's3://...' options, read by tokens and checked against rules 4 and 5.

Only FORMAT PARQUET is emulated. Every option that columnar COPY does not take is refused with the
text of rule 4, a word that is no option of COPY at all is a syntax error. An option that is refused
is ignored where its rule is switched off, so that a naive COPY can be had.

Secrets: a message names the word before a key, never what follows it, and not even then where the
quotes were forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..dialect.tokens import SECRETS, Cursor, Statement
from ..faults import RedshiftError, not_emulated, syntax_error
from ..rules import holds
from .credentials import Credentials, read_credentials

_FORMATS = frozenset(
    ["PARQUET", "ORC", "CSV", "JSON", "AVRO", "SHAPEFILE", "FIXEDWIDTH", "DELIMITER"]
)
_WITH_TEXT = SECRETS | {"REGION", "NULL", "QUOTE", "DATEFORMAT", "TIMEFORMAT"}
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
    ]
)
_OTHERS = frozenset({"IAM_ROLE", "ACCEPTINVCHARS", "ENCODING"})
_NUMBERED = frozenset({"MAXERROR", "IGNOREHEADER", "COMPROWS", "READRATIO"})

_OPTIONS = _WITH_TEXT | _SWITCHES | _BARE | _OTHERS | _NUMBERED
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
    credentials: Credentials = field(default=Credentials(), repr=False)
    replacement: str = "?"

    @property
    def manifest(self) -> bool:
        """Whether the source is a manifest."""
        return "MANIFEST" in self.options


@dataclass(slots=True)
class _Read:
    """What the options say so far; `values` hold secrets."""

    kind: str = ""
    options: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict, repr=False)

    def note(self, word: str, value: str) -> None:
        """One option; none comes twice."""
        if word in self.options and holds("4d"):
            raise RedshiftError("conflicting or redundant options", "42601", rule="4d")
        self.options.add(word)
        self.values[word] = value


def _text(cursor: Cursor, word: str) -> str:
    cursor.accept("AS")
    token = cursor.peek()
    if token is None or token.kind != "string":
        raise syntax_error(word, "4s")
    return cursor.take().value


def _role(cursor: Cursor) -> str:
    return "default" if cursor.accept("DEFAULT") else _text(cursor, "IAM_ROLE")


def _switch(cursor: Cursor) -> None:
    token = cursor.peek()
    if token is not None and token.word in ("ON", "OFF", "TRUE", "FALSE", "PRESET"):
        cursor.take()


def _optional_text(cursor: Cursor) -> str:
    cursor.accept("AS")
    token = cursor.peek()
    return cursor.take().value if token is not None and token.kind == "string" else ""


def _value(cursor: Cursor, word: str) -> str:
    """What follows an option's word, read to its end."""
    if word == "IAM_ROLE":
        return _role(cursor)
    if word in _WITH_TEXT:
        return _text(cursor, word)
    if word in _SWITCHES:
        _switch(cursor)
    elif word in _NUMBERED:
        cursor.accept("AS")
        cursor.number()
    elif word == "ACCEPTINVCHARS":
        return _optional_text(cursor)
    elif word == "ENCODING":
        cursor.accept("AS")
        cursor.take()
    return ""


def _word(cursor: Cursor, words: frozenset[str]) -> str:
    """A word that is one of these; what is none is not taken."""
    if cursor.word() not in words:
        raise cursor.wrong()
    return cursor.take().word


def _option(cursor: Cursor, read: _Read) -> None:
    if cursor.word() == "WITH" and cursor.word(1) == "CREDENTIALS":
        cursor.take()
    said = cursor.accept("FORMAT") or cursor.word() == "AS"
    if said:
        cursor.accept("AS")
    elif cursor.word() not in _FORMATS:
        word = _word(cursor, _OPTIONS)
        read.note(word, _value(cursor, word))
        return
    read.kind = _word(cursor, _FORMATS)
    if read.kind != "PARQUET":
        _optional_text(cursor)


def _check(read: _Read) -> None:
    if read.kind != "PARQUET":
        raise not_emulated(f"COPY of {read.kind or 'delimited text'}")
    for word in sorted(read.options - _COLUMNAR):
        if holds("4"):
            message = f"{word} argument is not supported for PARQUET based COPY"
            raise RedshiftError(message, "0A000", rule="4")


def parse_copy(statement: Statement) -> CopyStatement:
    """A COPY from S3; a COPY between client and server does not exist on Redshift."""
    cursor = Cursor(statement.tokens, "4s")
    cursor.expect("COPY")
    table = cursor.qualified()
    follows = cursor.peek()
    columns = cursor.names() if follows is not None and follows.text == "(" else ()
    cursor.expect("FROM")
    source = cursor.string()
    if not source.startswith("s3://"):
        raise not_emulated("COPY from anything but S3")
    read = _Read()
    while not cursor.done:
        _option(cursor, read)
    _check(read)
    options = frozenset(read.options)
    replacement = read.values.get("ACCEPTINVCHARS") or "?"
    given = read_credentials(read.values)
    return CopyStatement(table, columns, source, options, given, replacement)
