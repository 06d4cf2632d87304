"""Logging set up once: one event a line, to stderr, JSON where no person is watching.

One canonical line tells each unit of work (a batch committed, a batch loaded, a table done) with
all its figures; the rest is for debugging. A value under a secret's name never gets out, whoever
logs it. What can't be written (a full disk under stderr, a closed pipe) is dropped: no line is
worth a sync.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, TextIO, cast

import orjson
import structlog

if TYPE_CHECKING:
    from structlog.typing import Processor, WrappedLogger

_SECRET = ("password", "secret", "token", "credential", "private_key", "access_key")


def hide_secrets(
    _: WrappedLogger, __: str, event: MutableMapping[str, object]
) -> MutableMapping[str, object]:
    """Replace the value of every key that sounds like a secret's."""
    for key in event:
        if any(word in key.lower() for word in _SECRET):
            event[key] = "***"
    return event


def put(stream: TextIO, text: str) -> OSError | None:
    """Write to a standard stream; what stopped it, and then whatever follows goes nowhere.

    The stream's buffer keeps what it could not write, and the interpreter would fail on it again
    at its end, with an exit code of its own.
    """
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        return error
    return None


class _Lines:
    """Standard error as the log writes to it."""

    def write(self, text: str) -> int:
        put(sys.stderr, text)
        return len(text)

    def flush(self) -> None:
        """Each write is flushed already."""


def set_up(*, json: bool | None = None, quiet: bool = False) -> None:
    """Configure logging; `json` None: JSON unless stderr is a terminal."""
    level = logging.WARNING if quiet else logging.INFO
    as_json = not sys.stderr.isatty() if json is None else json
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        hide_secrets,
    ]
    if as_json:
        last: list[Processor] = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(
                serializer=lambda value, **_: orjson.dumps(value, default=str).decode()
            ),
        ]
    else:
        plain = structlog.dev.plain_traceback  # the rich one shows locals, and they hold secrets
        last = [structlog.dev.ConsoleRenderer(exception_formatter=plain)]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Lines())),
        cache_logger_on_first_use=False,
    )
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    logging.getLogger("botocore").setLevel(logging.WARNING)
