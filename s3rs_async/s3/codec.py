"""Canonical JSON for frozen dataclasses: one value has one text, and only that shape is read back.

Canonical means sorted keys, no spaces, UTF-8, no NaN; a digest is taken over that text. Reading is
strict, because what is read here decides which rows are loaded: a duplicate key, a missing or
unknown field, a bool for an int or a number for a text is a ValueError that names the place, never
a guess. Callers turn it into their own DataError. Not a general serialiser: it knows str, int,
bool, None, enums, tuples of one type and dataclasses of these.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import types
import typing
from enum import Enum
from functools import cache
from typing import Any, Literal, NoReturn, TypeAlias, TypeVar, cast

T = TypeVar("T")
_Form: TypeAlias = Literal["optional", "items", "record", "enum", "plain"]
Json = dict[str, Any]


def dumps(value: object) -> str:
    """The one canonical text of a JSON value."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def loads(body: bytes | str) -> object:
    """Parse JSON; ValueError for a duplicate key, NaN, bad UTF-8 or endless nesting."""
    try:
        text = body.decode("utf-8") if isinstance(body, bytes) else body
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def digest(value: object) -> str:
    """The SHA-256 of a JSON value's canonical text, in hex."""
    return hashlib.sha256(dumps(value).encode("utf-8")).hexdigest()


def pack(value: object) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """A dataclass, enum or tuple as plain JSON values."""
    kind: Any = type(value)
    if (names := _fields(kind)) is not None:
        return {name: pack(getattr(value, name)) for name in names}
    if isinstance(value, tuple):
        return [pack(item) for item in value]
    return value.value if isinstance(value, Enum) else value


@cache
def _fields(kind: type) -> tuple[str, ...] | None:
    is_ours = dataclasses.is_dataclass(kind)
    return tuple(field.name for field in dataclasses.fields(kind)) if is_ours else None


def unpack(kind: type[T], raw: object) -> T:
    """Plain JSON values as a `kind`; ValueError naming the place that has another shape."""
    return cast("T", _unpack(kind, raw, kind.__name__))


def _unique(pairs: list[tuple[str, object]]) -> Json:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice in one object")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


@cache
def _form(kind: Any) -> tuple[_Form, Any]:  # noqa: ANN401 - a type expression
    """What a type is to us, and what is in it: asked for every field of every document."""
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        [inner] = [arm for arm in typing.get_args(kind) if arm is not types.NoneType]
        return "optional", inner
    if typing.get_origin(kind) is tuple:
        return "items", typing.get_args(kind)[0]
    if dataclasses.is_dataclass(kind):
        return "record", kind
    return ("enum" if issubclass(kind, Enum) else "plain"), kind


def _unpack(kind: Any, raw: object, at: str) -> object:  # noqa: ANN401 - a type expression
    form, inner = _form(kind)
    match form:
        case "optional":
            return None if raw is None else _unpack(inner, raw, at)
        case "items":
            return _items(inner, raw, at)
        case "record":
            return _record(inner, raw, at)
        case "enum":
            return inner(_plain(str, raw, at))
        case "plain":
            return _plain(inner, raw, at)


def _items(kind: Any, raw: object, at: str) -> tuple[object, ...]:  # noqa: ANN401 - a type expression
    if not isinstance(raw, list):
        raise ValueError(f"{at} is not a list")  # noqa: TRY004 - one kind of failure for one answer
    return tuple(_unpack(kind, item, f"{at}[{number}]") for number, item in enumerate(raw))


def _record(kind: type, raw: object, at: str) -> object:
    if not isinstance(raw, dict):
        raise ValueError(f"{at} is not an object")  # noqa: TRY004 - as above
    hints = _hints(kind)
    odd = sorted(raw.keys() ^ hints.keys())
    if odd:
        raise ValueError(f"{at} has missing or unknown fields: {', '.join(odd)}")
    return kind(**{name: _unpack(hint, raw[name], f"{at}.{name}") for name, hint in hints.items()})


def _plain(kind: type, raw: object, at: str) -> object:
    if type(raw) is not kind:
        raise ValueError(f"{at} is not of type {kind.__name__}")
    return raw
