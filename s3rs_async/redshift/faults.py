"""What a target's failure means to us: asyncpg's errors become ours here, once.

Redshift says XX000 for a bad file, a serialization conflict and an internal assertion alike, so the
message is read where the SQLSTATE is not enough: `1023` and `1018` are clean failures that may be
tried again, a Spectrum Scan Error is the data's fault and its DETAIL says which file and column.

Whether a lost connection is harmless depends on what had been sent: `connection.py` knows that, so
`lost` is told. What is in none of the lists is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING, Final

from ..errors import ConfigError, DataError, Error, UnavailableError, UnknownOutcomeError

if TYPE_CHECKING:
    import asyncpg

    from ..config import TargetConfig

STATEMENT_TIMEOUT: Final = "57014"
SERVER_IS_GOING: Final = frozenset({"57P01", "57P02", "57P03"})

_CLEAN_STATES: Final = frozenset({"40001", "40P01", "55P03", "53100", "53200", "53300", "34510"})
_CLEAN_MESSAGES: Final = re.compile(
    r"\b(1023|1018)\b|serializable isolation violation|conflict with concurrent transaction"
    r"|disk full|tuple concurrently updated",
    re.IGNORECASE,
)
_MADE_TWICE: Final = frozenset({"42P06", "42P07", "42710"})  # IF NOT EXISTS, raced by another
_CATALOGUE: Final = re.compile(r'unique constraint "?pg_')
_DATA_STATES: Final = frozenset({"XX000", "42703", "42P01", "42804", "42601", "0A000"})
_CONTEXT: Final = re.compile(r"context:\s*(.*?)\s*(?:\n\s*\w+:\s|\n?\s*-{3,}|\Z)", re.DOTALL)
_DENIED: Final = re.compile(r"permission denied for (\w+) \"?([^\s\"]+)\"?", re.IGNORECASE)
_LONGEST: Final = 400

_GRANTS: Final = {
    "database": "GRANT CREATE, TEMP ON DATABASE {name} TO {user}",
    "schema": "GRANT USAGE, CREATE ON SCHEMA {name} TO {user}",
    "relation": "GRANT ALL ON TABLE {name} TO {user}",
    "table": "GRANT ALL ON TABLE {name} TO {user}",
}


def refused(error: asyncpg.PostgresError, target: str, config: TargetConfig) -> Error | None:
    """What the server's answer to a statement means; None where we did not foresee it."""
    state = error.sqlstate or ""
    said = one_line(error.message or str(error))
    facts = {"where": "redshift", "target": target, "said": said, "sqlstate": state}
    if state.startswith("28") or state == "3D000":
        return _not_let_in(config, facts)
    if state == "42501":
        return ConfigError("the target's user lacks a right", hint=_grant(said, config), **facts)
    if _is_clean(state, said):
        return UnavailableError("the target could not do it now", **facts)
    if state[:2] in {"22", "23"} or state in _DATA_STATES:
        return _bad_data(error, facts)
    return None


def _not_let_in(config: TargetConfig, facts: dict[str, str]) -> ConfigError:
    return ConfigError(
        "the target does not let us in",
        user=config.user,
        database=config.database,
        hint="check the target's user, password and database (an md5 password, not sha256)",
        **facts,
    )


def _is_clean(state: str, said: str) -> bool:
    return (
        state in _CLEAN_STATES
        or state in _MADE_TWICE
        or (state == "23505" and _CATALOGUE.search(said) is not None)
        or state in SERVER_IS_GOING
        or state == STATEMENT_TIMEOUT
        or state.startswith("08")
        or (state == "XX000" and _CLEAN_MESSAGES.search(said) is not None)
    )


def _bad_data(error: asyncpg.PostgresError, facts: dict[str, str]) -> DataError:
    detail = error.detail or ""
    match = _CONTEXT.search(detail)
    return DataError(
        "the target refused the data",
        detail=one_line(match[1] if match else detail) or None,
        hint="the batch stays in s3 and the target is as it was; compare the target's columns with"
        " those of s3rs sync --dry-run",
        **facts,
    )


def _grant(said: str, config: TargetConfig) -> str:
    match = _DENIED.search(said)
    kind = match[1].lower() if match else ""
    if match is None or kind not in _GRANTS:
        return f"grant {config.user} the right that the message names"
    return _GRANTS[kind].format(name=match[2], user=config.user)


def lost(error: BaseException, target: str, *, committing: bool) -> Error:
    """A connection that broke, or an answer that did not come in time."""
    facts = {"where": "redshift", "target": target, "reason": reason(error)}
    if committing:
        return UnknownOutcomeError(
            "the connection was lost while the target was committing",
            hint="the ledger knows; the next pass reads it before it loads anything",
            **facts,
        )
    return UnavailableError("the connection to the target was lost", **facts)


def unreachable(error: BaseException, target: str, config: TargetConfig) -> Error:
    """Why no session could be opened."""
    facts = {
        "where": "redshift",
        "target": target,
        "host": f"{config.host}:{config.port}",
        "reason": reason(error),
    }
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConfigError(
            "the target's certificate does not prove its name",
            hint="set the target's host to the name in its certificate, and ca to the bundle that"
            " signed it",
            **facts,
        )
    if "rejected SSL upgrade" in str(error):
        return ConfigError(
            "the target offers no tls", hint="set tls: off if that is right", **facts
        )
    return UnavailableError(
        "the target cannot be reached",
        hint="check host and port, and that its network lets us in; if it is reached through a"
        " bastion, declare the tunnel",
        **facts,
    )


def reason(error: BaseException) -> str:
    """An error's text in one line, also where it has none."""
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer in time"
    return one_line(str(error)) or type(error).__name__


def one_line(text: str) -> str:
    """A server's text as a fact: one line, not endless."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
