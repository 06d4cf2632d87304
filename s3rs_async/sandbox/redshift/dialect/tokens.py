"""SQL text to tokens, statements and back.

Everything the stand-in decides about a statement it decides by tokens: a keyword inside a literal,
a quoted name or a comment is no keyword. Literals follow Redshift, whose backend runs with
standard_conforming_strings off: a backslash escapes the next character (rule S1). Statements are
rewritten by edits on spans of the original text, so what is not understood stays as the client
wrote it. Signs are joined to operators as PostgreSQL's scanner joins them, so that `->>` is one.

Names: ASCII letters fold to lower case inside double quotes too. PostgreSQL cuts names at 63 bytes
without a word while Redshift holds 127, so names between are refused here, loudly. Redshift cuts
longer ones at 127, by which two become one; those are refused too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from ..faults import RedshiftError, syntax_error
from ..rules import holds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Kind: TypeAlias = Literal["word", "quoted", "string", "number", "param", "op"]
SECRETS = frozenset(  # what follows one of these is no name, and never shown
    ["CREDENTIALS", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "MASTER_SYMMETRIC_KEY"]
)
_NAME_LIMIT = 127
_BACKEND_NAME_LIMIT = 63

_PATTERN = r"""(?P<space>\s+|--[^\n]*)
    |(?P<comment>/\*)
    |(?P<string>[EeNn]?'(?:[^'\\]|\\.|'')*'|\$(?P<tag>[A-Za-z_]*)\$.*?\$(?P=tag)\$)
    |(?P<quoted>"(?:[^"]|"")*")
    |(?P<word>\#?[^\W\d][\w$]*)
    |(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)
    |(?P<param>\$\d+)
    |(?P<signs>(?:(?!--|/\*)[-+*/<>=~!@\#%^&|?])+)
    |(?P<op>::|.)"""
_TOKEN = re.compile(_PATTERN, re.VERBOSE | re.DOTALL)
_STANDARD = re.compile(
    _PATTERN.replace("[EeNn]?'(?:", "[Ee]'(?:").replace(
        "|\\$(?P<tag>", "|[Nn]?'(?:[^']|'')*'|\\$(?P<tag>"
    ),
    re.VERBOSE | re.DOTALL,
)
_SPECIAL = frozenset("~!@#%^&|?")
_ESCAPE = re.compile(r"\\(.)|''", re.DOTALL)
_COMMENT = re.compile(r"/\*|\*/")
_UPPER = re.compile(r"[A-Z]+")


@dataclass(frozen=True, slots=True)
class Token:
    """One token and its span in the statement's text."""

    kind: Kind
    text: str
    start: int
    end: int

    @property
    def word(self) -> str:
        """The keyword in capitals; empty for anything that cannot be one."""
        return self.text.upper() if self.kind == "word" else ""

    @property
    def is_name(self) -> bool:
        """Whether it can name something."""
        return self.kind in ("word", "quoted")

    @property
    def depth(self) -> int:
        """What a parenthesis adds to the depth."""
        return {"(": 1, ")": -1}.get(self.text, 0) if self.kind == "op" else 0

    @property
    def name(self) -> str:
        """The identifier as Redshift keeps it: ASCII folded, quoted or not."""
        text = self.text[1:-1].replace('""', '"') if self.kind == "quoted" else self.text
        if self.kind == "quoted" and not holds("N2"):
            return text
        return _UPPER.sub(lambda match: match.group().lower(), text)

    @property
    def value(self) -> str:
        """What a string literal stands for."""
        inner = self.text[self.text.index("'") + 1 : -1] if "'" in self.text else self.text
        return _ESCAPE.sub(lambda match: match.group(1) or "'", inner)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a query text; its tokens count from its own first character."""

    text: str
    tokens: tuple[Token, ...]

    def word(self, index: int) -> str:
        """The keyword at a place, empty beyond the end."""
        return self.tokens[index].word if index < len(self.tokens) else ""

    def edited(self, edits: Iterable[Edit]) -> str:
        """The text with spans replaced."""
        out, done = [], 0
        for edit in sorted(edits, key=lambda e: e.start):
            out += [self.text[done : edit.start], edit.text]
            done = edit.end
        return "".join([*out, self.text[done:]])


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace a span of a statement's text."""

    start: int
    end: int
    text: str

    @classmethod
    def of(cls, token: Token, text: str) -> Edit:
        """Replace one token."""
        return cls(token.start, token.end, text)


def _after_comment(sql: str, start: int) -> int:
    depth, at = 1, start
    while depth:
        match = _COMMENT.search(sql, at)
        if match is None:
            raise RedshiftError("unterminated /* comment", "42601", rule="S1")
        depth += 1 if match.group() == "/*" else -1
        at = match.end()
    return at


def _operator(signs: str) -> str:
    """The first operator of a run of signs: a last + or - is a sign of what follows."""
    cut = len(signs)
    if not _SPECIAL.intersection(signs):
        while cut > 1 and signs[cut - 1] in "+-":
            cut -= 1
    return signs[:cut]


def _scan(sql: str) -> Iterator[Token]:
    at, pattern = 0, _TOKEN if holds("S1") else _STANDARD
    while at < len(sql):
        match = pattern.match(sql, at)
        if match is None or match.group() in ("'", '"'):
            raise RedshiftError("unterminated quoted string", "42601", rule="S1")
        at = match.end()
        kind = match.lastgroup if match.lastgroup != "tag" else "string"
        if kind == "signs":
            operator = _operator(match.group())
            at = match.start() + len(operator)
            yield Token("op", operator, match.start(), at)
        elif kind == "comment":
            at = _after_comment(sql, at)
        elif kind != "space":
            yield Token(kind, match.group(), match.start(), at)  # type: ignore[arg-type]


def check_name(name: str) -> str:
    """A name that both Redshift and the backend hold whole."""
    size = len(name.encode(errors="surrogateescape"))
    if size > _NAME_LIMIT and holds("N1a"):
        raise RedshiftError(f'name "{name}" is longer than 127 bytes', "42622", rule="N1a")
    if _BACKEND_NAME_LIMIT < size <= _NAME_LIMIT and holds("N1"):
        raise RedshiftError(
            f'the Redshift stand-in cannot hold the name "{name}": it is longer than 63 bytes',
            "42622",
            rule="N1",
        )
    return name


def split(sql: str) -> list[Statement]:
    """The statements of a query text, without the empty ones; names are checked on the way."""
    statements: list[Statement] = []
    start, held = 0, list[Token]()
    for token in (*_scan(sql), Token("op", ";", len(sql), len(sql))):
        if token.text != ";" or token.kind != "op":
            if token.is_name and not (held and held[-1].word in SECRETS):
                check_name(token.name)
            held.append(Token(token.kind, token.text, token.start - start, token.end - start))
            continue
        if held:
            statements.append(Statement(sql[start : token.start], tuple(held)))
        start, held = token.end, []
    return statements


def word_set(text: str) -> frozenset[str]:
    """The words of a text: how the tables of keywords and names are written."""
    return frozenset(text.split())


def quoted(name: str) -> str:
    """A name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def dotted(parts: Iterable[str]) -> str:
    """A qualified name as SQL."""
    return ".".join(map(quoted, parts))


def literal(text: str) -> str:
    """A string as SQL, right whatever standard_conforming_strings says."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'" if "\\" in text else f"'{escaped}'"


class Cursor:
    """Reads a statement's tokens from left to right; complains as the parser would."""

    def __init__(self, tokens: tuple[Token, ...], rule: str) -> None:
        self._tokens = tokens
        self._at = 0
        self._rule = rule

    @property
    def taken(self) -> int:
        """How many tokens have been taken."""
        return self._at

    @property
    def done(self) -> bool:
        """Whether every token has been taken."""
        return self._at >= len(self._tokens)

    def peek(self, ahead: int = 0) -> Token | None:
        """A token to come."""
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else None

    def word(self, ahead: int = 0) -> str:
        """The keyword to come, or empty."""
        token = self.peek(ahead)
        return token.word if token else ""

    def take(self) -> Token:
        """The next token; the end is an error."""
        token = self.peek()
        if token is None:
            raise syntax_error("", self._rule)
        self._at += 1
        return token

    def accept(self, *words: str) -> bool:
        """Take these keywords or punctuation if they all come next."""
        for ahead, word in enumerate(words):
            token = self.peek(ahead)
            if token is None or (token.word or token.text) != word:
                return False
        self._at += len(words)
        return True

    def expect(self, *words: str) -> None:
        """Take these keywords or complain."""
        if not self.accept(*words):
            raise self.wrong()

    def wrong(self, rule: str = "") -> RedshiftError:
        """A syntax error at the token to come; a text is not shown, it may be a secret."""
        token = self.peek()
        shown = "'...'" if token and token.kind == "string" else token.text if token else ""
        return syntax_error(shown, rule or self._rule)

    def name(self) -> str:
        """An identifier."""
        token = self.peek()
        if token is None or not token.is_name:
            raise self.wrong()
        return self.take().name

    def qualified(self) -> tuple[str, ...]:
        """An identifier with its schema, if given."""
        parts = [self.name()]
        while self.accept("."):
            parts.append(self.name())
        return tuple(parts)

    def string(self) -> str:
        """A string literal's value."""
        token = self.peek()
        if token is None or token.kind != "string":
            raise self.wrong()
        return self.take().value

    def number(self) -> int:
        """A whole number, perhaps negative."""
        sign = -1 if self.accept("-") else 1
        token = self.peek()
        if token is None or token.kind != "number" or not token.text.isdigit():
            raise self.wrong()
        return sign * int(self.take().text)

    def names(self) -> tuple[str, ...]:
        """A list of identifiers in parentheses."""
        self.expect("(")
        names = [self.name()]
        while self.accept(","):
            names.append(self.name())
        self.expect(")")
        return tuple(names)

    def group(self) -> tuple[Token, ...]:
        """The tokens between this parenthesis and the one that closes it."""
        self.expect("(")
        start, depth = self._at, 1
        while depth:
            depth += self.take().depth
        return self._tokens[start : self._at - 1]

    def rest(self) -> tuple[Token, ...]:
        """Every token that is left."""
        left = self._tokens[self._at :]
        self._at = len(self._tokens)
        return left

    def end(self) -> None:
        """Nothing may follow."""
        if not self.done:
            raise self.wrong()


def items(tokens: tuple[Token, ...]) -> list[tuple[Token, ...]]:
    """The parts between commas that stand outside parentheses."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += token.depth
        if token.kind == "op" and token.text == "," and depth == 0:
            parts.append([])
            continue
        parts[-1].append(token)
    return [tuple(part) for part in parts]
