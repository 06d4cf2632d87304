"""What changes between the two sides of a session besides errors: parameters and type numbers.

SUPER and VARBYTE are jsonb and bytea behind the front, but have numbers of their own on the wire. A
number is changed where a message has one and nowhere else: its bytes may well occur in a name.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..knobs import Knobs
from ..rules import holds
from ..wire import INT, cstrings

_CLIENTS = {INT.pack(3802): INT.pack(4000), INT.pack(17): INT.pack(6551)}
_BACKENDS = {theirs: ours for ours, theirs in _CLIENTS.items()}
_VERSION = "8.0.2"
_PADB_VERSION = "1.0.122914"
_SHOWN = frozenset(
    [
        "client_encoding",
        "DateStyle",
        "integer_datetimes",
        "is_superuser",
        "server_encoding",
        "session_authorization",
        "standard_conforming_strings",
        "TimeZone",
    ]
)
_FIELD_TAIL = 18


def parameter(body: bytes, knobs: Knobs) -> Iterator[bytes]:
    """A parameter that the backend reports, as Redshift would; it has fewer, and two more."""
    name = body.split(b"\0")[0].decode()
    if name in _SHOWN:
        yield body
    if name != "server_version":
        return
    if not holds("W1"):
        yield body
        return
    yield cstrings(name, _VERSION)
    if knobs["padb_revision"] == "on" and holds("W1a"):
        yield cstrings("padb_revision", "stand-in")
    yield cstrings("padb_version", _PADB_VERSION)


def client_types(kind: bytes, body: bytes) -> bytes:
    """A message to the client, with Redshift's numbers for its types."""
    if kind not in (b"T", b"t") or not holds("W4"):
        return body
    return _columns(body) if kind == b"T" else _numbers(body, _CLIENTS)


def backend_types(body: bytes) -> bytes:
    """The parameters' types at the end of a Parse, with the backend's numbers."""
    return _numbers(body, _BACKENDS) if holds("W4") else body


def _columns(body: bytes) -> bytes:
    changed, at = bytearray(body), 2
    for _ in range(int.from_bytes(body[:2], "big")):
        at = body.index(b"\0", at) + 1
        number = body[at + 6 : at + 10]
        changed[at + 6 : at + 10] = _CLIENTS.get(number, number)
        at += _FIELD_TAIL
    return bytes(changed)


def _numbers(body: bytes, names: dict[bytes, bytes]) -> bytes:
    numbers = [body[at : at + 4] for at in range(2, len(body), 4)]
    return body[:2] + b"".join(names.get(number, number) for number in numbers)
