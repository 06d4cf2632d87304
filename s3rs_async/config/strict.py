"""A parsed document becomes a strict frozen model, and every mistake in it is told.

pydantic finds what is wrong; here that becomes our words: what, where, and what mends it. An
unknown key names the nearest known one. No value is ever quoted, since any of them may be a secret
in a wrong place; nor is an unknown key without a value, which is what follows the comma in a
password that has no quotes.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from ..document import Document, Fault, Loc

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_HINTS: Mapping[str, str] = {
    "string_type": "put it in quotes",
    "model_type": "indent its keys below it",
    "dict_type": "indent its keys below it",
}
_WORDS: Mapping[str, str] = {
    "model_type": "keys with values belong here",
    "dict_type": "keys with values belong here",
}
_QUOTES = "a text with a comma, a colon or a # in it needs quotes"


class Strict(BaseModel):
    """A model that knows all its keys and never changes; built when the first of it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


Model = TypeVar("Model", bound=Strict)


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong at one place of a tree, and whether that place's name may be shown."""

    loc: Loc
    message: str
    hint: str
    missing: bool = False
    named: bool = True


def parse(
    model: type[Model], value: object, elsewhere: Mapping[str, str] | None = None
) -> tuple[Model | None, list[Mistake]]:
    """The model, or all that is wrong; `elsewhere` has hints for keys that don't belong here."""
    try:
        return model.model_validate(value), []
    except ValidationError as error:
        found = error.errors(include_url=False)
        return None, [_mistake(model, details, elsewhere or {}) for details in found]


def faults(
    mistakes: Iterable[Mistake],
    document: Document,
    under: Loc = (),
    words: Mapping[str, str] | None = None,
) -> list[Fault]:
    """The mistakes at their places in the file, but where a variable is not set, which is told.

    `words` has what stands in the file where it is another word than the model's.
    """
    found = []
    for mistake in mistakes:
        loc = (*under, *_written(mistake.loc, words or {}))
        if not any(loc[: len(unset)] == unset for unset in document.unset):
            facts = {"key": dotted(loc)} if mistake.named and loc else {}
            found.append(document.fault(loc, mistake.message, mistake.hint, **facts))
    return found


def _written(loc: Loc, words: Mapping[str, str]) -> Loc:
    return (words.get(str(loc[0]), loc[0]), *loc[1:]) if loc else loc


def dotted(loc: Loc) -> str:
    """A path of keys as one text."""
    return ".".join(map(str, loc))


def nearest(wanted: str, known: Iterable[str]) -> str:
    """A hint that names the known word nearest to the wanted one, or else all of them."""
    names = list(known)
    near = difflib.get_close_matches(wanted, names, 1)
    return f"did you mean {near[0]}?" if near else f"there are: {', '.join(names) or 'none'}"


def _mistake(
    model: type[BaseModel], details: ErrorDetails, elsewhere: Mapping[str, str]
) -> Mistake:
    loc, kind = details["loc"], details["type"]
    if kind == "extra_forbidden":
        return _unknown(model, loc, elsewhere, bare=details["input"] is None)
    if kind == "missing":
        return Mistake(loc, "a key is missing", f"add {loc[-1]}:", missing=True)
    if details["input"] is None and loc:
        return Mistake(loc, "wrong value: there is none", "write one")
    words = _WORDS.get(kind, details["msg"].lower())
    own_hint = details.get("ctx", {}).get("hint")
    return Mistake(loc, f"wrong value: {words}", own_hint or _HINTS.get(kind, "correct it there"))


def _unknown(
    model: type[BaseModel], loc: Loc, elsewhere: Mapping[str, str], *, bare: bool
) -> Mistake:
    word, known = str(loc[-1]), _known_keys(model, loc[:-1])
    if len(loc) == 1 and word in elsewhere:
        return Mistake(loc, "unknown key", elsewhere[word])
    if near := difflib.get_close_matches(word, known, 1):
        return Mistake(loc, "unknown key", f"did you mean {near[0]}?", named=not bare)
    quotes = f"{_QUOTES}; " if bare else ""
    return Mistake(loc, "unknown key", f"{quotes}known: {', '.join(known)}", named=not bare)


def _known_keys(model: type[BaseModel], loc: Loc) -> list[str]:
    """The keys that the model at `loc` has, by walking the models' own fields."""
    for step in loc:
        fields = {f.alias or name: f.annotation for name, f in model.model_fields.items()}
        if str(step) in fields:
            model = _inner_model(fields[str(step)]) or model
    return [f.alias or name for name, f in model.model_fields.items()]


def _inner_model(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) is None:
        return None
    return next((m for a in get_args(annotation) if (m := _inner_model(a)) is not None), None)
