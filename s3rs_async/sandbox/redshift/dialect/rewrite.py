"""A statement in the backend's words: names, types, functions and clauses that it spells otherwise.

Calls are done from the inside out, each by replacing single tokens, so a rewritten argument stays
rewritten when the call around it moves or repeats it. Whatever is not replaced stays as the client
wrote it, comments and spaces included. Where a rule is switched off its words stay as they are, and
the backend says what it thinks of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..faults import RedshiftError, not_emulated
from ..rules import holds
from . import relations
from .aliases import meant
from .casts import backend_type
from .functions import OURS
from .reading import Reading
from .tokens import Edit, literal, quoted, word_set

if TYPE_CHECKING:
    from collections.abc import Callable

    from .reading import Call
    from .tokens import Statement

_MOMENTS = word_set(
    """
    add_months convert_timezone date_part date_trunc dateadd datediff last_day months_between
    next_day
    """
)
_NO_MOMENTS = {"date_part": 1, "date_trunc": 1, "dateadd": 2, "datediff": 1}
_PARTED = {"dateadd": "F4", "datediff": "F5"}
_SET_OPERATIONS = frozenset({"UNION", "EXCEPT", "INTERSECT", "MINUS", "LIMIT"})


class Rewriting:
    """What replaces which token of a statement."""

    def __init__(self, statement: Statement, reading: Reading | None = None) -> None:
        self.statement = statement
        self.reading = reading or Reading(statement)
        self.out: dict[int, str] = {}

    def put(self, at: int, text: str) -> None:
        """Replace a token."""
        self.out[at] = text

    def drop(self, first: int, last: int) -> None:
        """Leave tokens out, the last included."""
        for at in range(first, last + 1):
            self.out[at] = ""

    def text(self, first: int, last: int) -> str:
        """How the tokens of a span read by now, the last included."""
        tokens, parts = self.reading.tokens, []
        for at in range(first, last + 1):
            if at > first:
                parts.append(self.statement.text[tokens[at - 1].end : tokens[at].start])
            parts.append(self.out.get(at, tokens[at].text))
        return "".join(parts)

    def edits(self) -> list[Edit]:
        """The replacements as edits of the text."""
        return [Edit.of(self.reading.tokens[at], text) for at, text in self.out.items()]


def _arity(call: Call, given: int, least: int, most: int) -> None:
    if not least <= given <= most:
        raise RedshiftError(f"function {call.name}(...) does not exist", "42883", rule="S23")


def _nvl2(writing: Rewriting, call: Call) -> None:
    commas = writing.reading.commas(call)
    _arity(call, len(commas), 2, 2)
    writing.put(call.start, "CASE WHEN")
    writing.put(commas[0], ") IS NOT NULL THEN (")
    writing.put(commas[1], ") ELSE (")
    writing.put(call.closes, ") END")


def _decode(writing: Rewriting, call: Call) -> None:
    """A CASE in which NULL equals NULL."""
    commas = writing.reading.commas(call)
    _arity(call, len(commas), 2, len(writing.reading.tokens))
    value = writing.text(call.opens + 1, commas[0] - 1)
    writing.put(call.start, "CASE ")
    writing.drop(call.opens, commas[0] - 1)
    matches = f"WHEN ({value}) IS NOT DISTINCT FROM ("
    writing.put(commas[0], matches)
    for place, comma in enumerate(commas[1:], 1):
        if place % 2:
            writing.put(comma, ") THEN (")
        else:
            writing.put(comma, ") ELSE (" if place + 1 == len(commas) else f") {matches}")
    writing.put(call.closes, ") END")


def _convert(writing: Rewriting, call: Call) -> None:
    commas = writing.reading.commas(call)
    _arity(call, len(commas), 1, 1)
    kind, _ = backend_type(writing.reading, call.opens + 1)
    writing.put(call.start, "CAST")
    writing.drop(call.opens + 1, commas[0])
    writing.put(call.closes, f" AS {kind})")


def _concat(writing: Rewriting, call: Call) -> None:
    commas = writing.reading.commas(call)
    _arity(call, len(commas), 1, 1)
    writing.put(call.start, "(")
    writing.put(commas[0], ") || (")
    writing.put(call.closes, "))")


def _listagg(writing: Rewriting, call: Call) -> None:
    """Redshift leaves out empty strings and counts the result's bytes."""
    reading, commas = writing.reading, writing.reading.commas(call)
    _arity(call, len(commas), 0, 1)
    if reading.word(call.opens + 1) == "DISTINCT":
        raise not_emulated("LISTAGG DISTINCT")
    ends, order = call.closes, ""
    if (reading.word(call.closes + 1), reading.word(call.closes + 2)) == ("WITHIN", "GROUP"):
        opens = call.closes + 3
        ends = reading.pairs.get(opens, opens)
        order = " " + writing.text(opens + 1, ends - 1)
    if reading.word(ends + 1) == "OVER":
        raise not_emulated("LISTAGG as a window function")
    last = commas[0] - 1 if commas else call.closes - 1
    value = writing.text(call.opens + 1, last)
    between = writing.text(commas[0] + 1, call.closes - 1) if commas else "''"
    writing.drop(call.start, ends)
    joined = f"string_agg(nullif(({value})::varchar, ''), {between}{order})"
    writing.put(call.start, f"pg_standin.listed({joined})")


def _extract(writing: Rewriting, call: Call) -> None:
    part = writing.reading.text(call.opens + 1).strip("'").lower()
    writing.put(call.start, "CAST(TRUNC(EXTRACT")
    writing.put(call.closes, f")) AS {'bigint' if part == 'epoch' else 'int'})")


def _sha2(writing: Rewriting, call: Call) -> None:
    """The usual length by the backend's own function: a call of ours costs three times as much."""
    reading, commas = writing.reading, writing.reading.commas(call)
    _arity(call, len(commas), 1, 1)
    if reading.text(commas[0] + 1) != "256" or commas[0] + 2 != call.closes:
        writing.put(call.start, "pg_standin.sha2")
        return
    writing.drop(commas[0] + 1, call.closes - 1)
    writing.put(call.start, "encode(sha256(convert_to")
    writing.put(commas[0], ", 'UTF8')), 'hex'")


_SHAPES: dict[str, tuple[str, Callable[[Rewriting, Call], None]]] = {
    "nvl2": ("F3", _nvl2), "decode": ("F3", _decode), "convert": ("F13", _convert),
    "concat": ("F8", _concat), "listagg": ("F12", _listagg), "extract": ("F17", _extract),
    "sha2": ("F9", _sha2),
}  # fmt: skip


def _moments(writing: Rewriting, call: Call) -> None:
    """A literal that stands for a moment is a timestamp, not one with a time zone."""
    tokens = writing.reading.tokens
    bounds = [*writing.reading.commas(call), call.closes]
    begins = [call.opens, *bounds[:-1]]
    skipped = _NO_MOMENTS.get(call.name, 0)
    if call.name == "convert_timezone":
        skipped = len(bounds) - 1
    if call.name == "next_day":
        bounds, begins = bounds[:1], begins[:1]
    for opens, closes in list(zip(begins, bounds, strict=True))[skipped:]:
        if closes == opens + 2 and tokens[opens + 1].kind == "string":
            writing.put(opens + 1, f"{writing.text(opens + 1, opens + 1)}::timestamp")


def _call(writing: Rewriting, call: Call) -> None:
    name = call.opens - 1
    if call.name in _MOMENTS and call.name not in _PARTED:
        _moments(writing, call)
    if call.name in _SHAPES:
        rule, shape = _SHAPES[call.name]
        if holds(rule):
            writing.drop(call.start, name)
            shape(writing, call)
    elif call.name == "nvl" and holds("F3"):
        writing.put(name, "coalesce")
    elif call.name == "json_serialize":
        writing.drop(call.start, name)
        writing.put(name, 'pg_catalog."json_serialize"')
    elif (call.name in OURS and holds(OURS[call.name])) or _tells_keys(call):
        if call.name in _PARTED:
            _part(writing, call)
        writing.drop(call.start, name)
        writing.put(name, f"pg_standin.{call.name}")


def _tells_keys(call: Call) -> bool:
    return call.name == "pg_get_constraintdef" and holds("C22")


def _part(writing: Rewriting, call: Call) -> None:
    """The date part is a word; to the backend it is a string."""
    first = writing.reading.tokens[call.opens + 1]
    _moments(writing, call)
    if first.is_name:
        writing.put(call.opens + 1, literal(first.name))


def _top(writing: Rewriting, at: int) -> None:
    """TOP n of a SELECT is a LIMIT at its end."""
    reading = writing.reading
    number, depth, end = at + 1, 0, at + 1
    if reading.tokens[number].kind != "number":
        return
    while end < len(reading.tokens) and (depth or reading.text(end) != ")"):
        if reading.word(end) in _SET_OPERATIONS:
            raise not_emulated(f"TOP together with {reading.word(end)}")
        end = reading.pairs.get(end, end) + 1
    limit = f" LIMIT {reading.text(number)}"
    writing.drop(at, number)
    writing.put(end - 1, writing.text(end - 1, end - 1) + limit)


def _names(writing: Rewriting) -> None:
    strings = not holds("S1")
    for at, token in enumerate(writing.reading.tokens):
        if token.kind == "quoted" or (token.kind == "word" and token.text[0] == "#"):
            writing.put(at, quoted(token.name))
        elif token.kind == "word":
            _word(writing, at)
        elif strings and token.kind == "string" and token.text[0] in "'nN":
            writing.put(at, token.text.replace("\\", "\\\\"))


def _word(writing: Rewriting, at: int) -> None:
    reading, word = writing.reading, writing.reading.tokens[at].word
    if word == "SYSDATE":
        if holds("F2") and reading.text(at - 1) != "." and reading.text(at + 1) not in ("(", "."):
            writing.put(at, "pg_catalog.sysdate()")
    elif word == "MINUS" and holds("F13"):
        if reading.word(at + 1) in ("SELECT", "ALL", "WITH") or reading.text(at + 1) == "(":
            writing.put(at, "EXCEPT")
    elif word == "TOP" and reading.word(at - 1) in ("SELECT", "DISTINCT", "ALL") and holds("F13"):
        _top(writing, at)


def _types(writing: Rewriting) -> None:
    for at in writing.reading.types:
        kind, size = backend_type(writing.reading, at)
        if kind:
            writing.drop(at, at + size - 1)
            writing.put(at, kind)


def _relations(writing: Rewriting) -> None:
    """Tables of the catalogue that are read in Redshift's shape."""
    edits = relations.reshaped(writing.statement, [])
    tokens = writing.reading.tokens
    places = {token.start: at for at, token in enumerate(tokens)} if edits else {}
    for edit in edits:
        first = last = places[edit.start]
        while tokens[last].end < edit.end:
            last += 1
        writing.drop(first, last)
        writing.put(first, edit.text)


def _aliases(writing: Rewriting) -> None:
    """What the WHERE of a catalogue query says in names of its own result."""
    if not (writing.reading.is_catalogue and holds("F18")):
        return
    for each in meant(writing.reading):
        text = f"({writing.text(each.first, each.last)})" if each.last else "true"
        writing.put(each.at, text)


def rewritten(statement: Statement, reading: Reading | None = None) -> list[Edit]:
    """What to edit so that the backend understands the statement."""
    writing = Rewriting(statement, reading)
    _names(writing)
    _types(writing)
    _relations(writing)
    for call in writing.reading.calls:
        _call(writing, call)
    _aliases(writing)
    return writing.edits()
