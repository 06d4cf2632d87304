"""Types in expressions: after `::`, in CAST and CONVERT, and before a literal.

A type must be one that Redshift has, or one of the catalogue's own, which queries of drivers name.
VARCHAR without a length takes what it is given in an expression, other than in a definition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..faults import RedshiftError, syntax_error
from ..rules import holds
from .tokens import Cursor, word_set
from .types import read_type

if TYPE_CHECKING:
    from .reading import Reading

_CATALOGUE = word_set(
    """
    abstime aclitem anyarray char cid int2vector interval name oid oidvector regclass regoper
    regoperator regproc regprocedure regtype tid unknown void xid
    """
)
_OPEN_ENDED = {"TEXT": "text", "VARCHAR": "varchar", "NVARCHAR": "varchar", "BPCHAR": "bpchar"}
_FOREIGN = word_set(
    """
    BIT BOX BYTEA CIDR CIRCLE INET JSON JSONB LINE LSEG MACADDR MONEY PATH POINT POLYGON TSQUERY
    TSVECTOR UUID VARBIT XML
    """
)
_FIXED = frozenset({"CHARACTER", "CHAR", "NCHAR"})
_DECIMALS = frozenset({"DECIMAL", "NUMERIC", "DEC"})
_LONGEST = 12


def _system_type(reading: Reading, at: int) -> int:
    """How many tokens a type of the catalogue's takes; none when it is no such type."""
    if reading.text(at + 1) == "." and reading.tokens[at].name == "information_schema":
        return 3
    size = 2 if reading.text(at + 1) == "." and reading.tokens[at].name == "pg_catalog" else 0
    if at + size >= len(reading.tokens):
        return 0
    token = reading.tokens[at + size]
    known = token.name in _CATALOGUE and (token.kind == "quoted" or token.word != "CHAR")
    return size + 1 if known or size else 0


def _sized(reading: Reading, at: int) -> tuple[str, int]:
    token = reading.tokens[at]
    if token.word in _OPEN_ENDED and reading.text(at + 1) != "(":
        return _OPEN_ENDED[token.word], 1
    if token.word in _DECIMALS and reading.text(at + 1) != "(" and not holds("S27a"):
        return "numeric", 1
    cursor = Cursor(reading.tokens[at : at + _LONGEST], "S27")
    varying = token.word in _FIXED and reading.word(at + 1) == "VARYING"
    if varying and reading.text(at + 2) != "(":
        return "varchar", 2
    try:
        return read_type(cursor).sql, cursor.taken
    except RedshiftError as error:
        rule = error.rule if error.rule == "stand-in" else "S27"
        raise RedshiftError(error.message, error.state, rule=rule) from error


def backend_type(reading: Reading, at: int) -> tuple[str, int]:
    """A type in the backend's words and how many tokens it takes; no words when it may stay."""
    if at >= len(reading.tokens):
        raise syntax_error("", "S27")
    if size := _system_type(reading, at):
        kind = ""
    else:
        kind, size = _sized(reading, at)
    if reading.text(at + size) == "[" and not reading.is_catalogue:
        raise syntax_error("[", "S7")
    return kind, size


def check_literals(reading: Reading) -> None:
    """Refuse literals of types that Redshift lacks: `jsonb '{}'`, `B'01'`, `$$text$$`."""
    for at, token in enumerate(reading.tokens):
        if token.kind != "string":
            continue
        before = reading.word(at - 1) if at else ""
        if token.text[0] == "$":
            raise syntax_error("$", "S28")
        if before in ("B", "X") and reading.tokens[at - 1].end == token.start:
            raise syntax_error(reading.text(at - 1) + token.text, "S28")
        if before == "" and reading.text(at - 1) == "&" and reading.word(at - 2) == "U":
            raise syntax_error(f"U&{token.text}", "S28")
        if before in _FOREIGN:
            message = f'type "{before.lower()}" does not exist'
            raise RedshiftError(message, "42704", rule="S27")
