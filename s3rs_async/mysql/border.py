"""Where the driver's errors become ours, once.

A server's error number decides the kind: whether asking again can help, or the request must
change. What the server said travels as a fact; it never holds a password. Above this module no
driver's exception is named. What the driver cannot read in an answer it says in as many ways as
there are; here it is one error.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from collections.abc import Iterator

import pymysql.err

from ..errors import ConfigError, DataError, Error, Fact, UnavailableError

_CONNECT = "check host, port and that the server is up"
_GRANT = "grant SELECT on the table, and PROCESS for a proven bound, to the user"
_CREDENTIALS = "check user and password, and that the user may come from this host"

_KINDS: dict[int, tuple[type[Error], str, str]] = {
    1040: (UnavailableError, "the source has too many connections", ""),
    1044: (ConfigError, "the user may not use this database", _GRANT),
    1045: (ConfigError, "the source refuses the user", _CREDENTIALS),
    1049: (ConfigError, "unknown database", "check the schema's spelling"),
    1053: (UnavailableError, "the source is shutting down", ""),
    1054: (DataError, "unknown column", "the table has changed: run it again"),
    1130: (ConfigError, "the source refuses this host", _CREDENTIALS),
    1142: (ConfigError, "the user may not read this table", _GRANT),
    1143: (ConfigError, "the user may not read this column", _GRANT),
    1146: (ConfigError, "unknown table", "check schema and table name"),
    1203: (UnavailableError, "the user has too many connections", ""),
    1205: (UnavailableError, "a lock at the source was waited for too long", ""),
    1213: (UnavailableError, "a deadlock at the source", ""),
    1226: (UnavailableError, "the user has used up its limits", ""),
    1227: (ConfigError, "the user lacks a privilege", "grant PROCESS to the user"),
    1317: (UnavailableError, "the query was killed", ""),
    1412: (UnavailableError, "the table was changed while it was read", ""),
    1698: (ConfigError, "the source refuses the user", _CREDENTIALS),
    1969: (UnavailableError, "the query ran into the source's time limit", ""),
    2003: (UnavailableError, "the source cannot be reached", _CONNECT),
    2006: (UnavailableError, "the source has gone away", ""),
    2013: (UnavailableError, "the connection to the source was lost", ""),
    2014: (UnavailableError, "the connection to the source is out of step", ""),
    3024: (UnavailableError, "the query ran into the source's time limit", ""),
    3159: (ConfigError, "the source wants TLS", "set tls: verify"),
}
_UNREADABLE = (
    AssertionError,
    AttributeError,
    IndexError,
    TypeError,
    UnboundLocalError,
    ValueError,
    struct.error,
)
SPEAKS_OTHERWISE = "check host and port: what is there does not speak as a MySQL server does"
_LOST = 2013
_FIRST_OF_SERVER = 1000
_FIRST_OF_DRIVER = 2  # in thousands
_LOSSES = frozenset({1053, 1927, 2006, _LOST, 4031})


def failure(code: int, said: str, **facts: Fact) -> Error:
    """Our error for a server's (or the driver's own) error number."""
    kind, message, hint = _KINDS.get(code, (Error, "the source refused the statement", ""))
    return kind(message, hint=hint, where="mysql", code=code, said=said, **facts)


@contextlib.contextmanager
def translated(**facts: Fact) -> Iterator[None]:
    """Turn what the driver and the network raise into our errors."""
    try:
        yield
    except pymysql.err.MySQLError as error:
        raise _from_driver(error, facts) from error
    except (asyncio.IncompleteReadError, OSError) as error:  # TimeoutError is one of them
        raise failure(_LOST, _words(error), **facts) from error


@contextlib.contextmanager
def understood() -> Iterator[None]:
    """Around the reading of an answer: what the driver stumbles over is the server's mistake."""
    try:
        yield
    except OSError:
        raise  # a refused certificate is a ValueError too
    except _UNREADABLE as error:
        raise DataError(
            "an answer of the source cannot be read", where="mysql", hint=SPEAKS_OTHERWISE
        ) from error


def is_loss(error: pymysql.err.MySQLError) -> bool:
    """Whether it says that the connection is gone, or is about to be."""
    return bool(error.args) and error.args[0] in _LOSSES


def is_refusal(error: pymysql.err.MySQLError) -> bool:
    """Whether a server that is well has refused a statement for what the statement is."""
    code = error.args[0] if error.args else None
    if not isinstance(code, int) or code in _KINDS or code in _LOSSES:
        return False
    return code >= _FIRST_OF_SERVER and code // _FIRST_OF_SERVER != _FIRST_OF_DRIVER


def _from_driver(error: pymysql.err.MySQLError, facts: dict[str, Fact]) -> Error:
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return ConfigError(
            "the source's certificate was refused",
            hint="name its CA with `ca`, and connect to the name that the certificate carries",
            where="mysql",
            said=_words(cause),
            **facts,
        )
    code = error.args[0] if error.args and isinstance(error.args[0], int) else _LOST
    said = str(error.args[-1]) if error.args else type(error).__name__
    if cause is not None:
        said = f"{said}: {_words(cause)}"
    return failure(code, said, **facts)


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
