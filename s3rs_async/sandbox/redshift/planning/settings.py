"""SET, RESET and SHOW: the settings that Redshift has, and only these (rules S3 to S3c).

Those that the backend shares go through; Redshift's own are kept under the prefix `rs.` and change
nothing. A start-up parameter is a setting too: one that Redshift does not know ends the connection.

Two knobs are settings of the backend as well: its functions ask which rules are off, and it runs at
the isolation that is asked for. `mirror` says how to tell it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..dialect.tokens import Cursor, Statement, literal
from ..faults import RedshiftError, not_emulated
from ..knobs import PREFIX, Knobs, known, standing
from ..rules import holds

NATIVE = frozenset(
    [
        "search_path",
        "statement_timeout",
        "datestyle",
        "timezone",
        "client_encoding",
        "application_name",
        "extra_float_digits",
    ]
)
OWN = frozenset(
    [
        "query_group",
        "query_slot_count",
        "enable_result_cache_for_session",
        "wlm_query_slot_count",
        "analyze_threshold_percent",
        "error_on_nondeterministic_update",
        "max_cursor_result_set_size",
        "json_serialization_enable",
        "json_serialization_parse_nested_strings",
        "spectrum_query_maxerror",
        "describe_field_name_in_uppercase",
        "cast_super_null_on_error",
    ]
)
_CASE = "enable_case_sensitive_identifier"
READABLE = frozenset({"transaction_isolation", "server_version", "server_encoding"})
_DRIVERS = frozenset(
    [
        "client_protocol_version",
        "driver_discovery_version",
        "driver_version",
        "os_version",
        "plugin_name",
        "idp_type",
        "provider_name",
    ]
)
_OPTIONS = {
    "standard_conforming_strings": "off",
    "escape_string_warning": "off",
    "client_connection_check_interval": "100",
    "rs.last_copy_count": "",
    "rs.last_copy_id": "",
    **{f"rs.{name}": "" for name in sorted(OWN)},
}


@dataclass(frozen=True, slots=True)
class Turn:
    """A knob of the stand-in, to be turned; no value turns it back."""

    knob: str
    value: str | None
    everywhere: bool
    tag: str


def _knob(cursor: Cursor) -> str:
    """The knob that a setting's name means, or empty."""
    token, dot = cursor.peek(), cursor.peek(1)
    if token is None or dot is None or (token.name, dot.text) != (PREFIX, "."):
        return ""
    cursor.expect(token.word, ".")
    return cursor.name()


def _turned(cursor: Cursor, knob: str, tag: str, *, everywhere: bool) -> Turn:
    if not cursor.accept("TO"):
        cursor.expect("=")
    if cursor.accept("DEFAULT"):
        value = None
    else:
        token = cursor.take()
        value = token.value if token.kind == "string" else token.text
    cursor.end()
    return Turn(knob, value, everywhere, tag)


def plan_alter_system(statement: Statement) -> Turn:
    """ALTER SYSTEM SET of a knob; Redshift has none of its own."""
    cursor = Cursor(statement.tokens, "S3")
    cursor.expect("ALTER", "SYSTEM")
    back = cursor.accept("RESET")
    if not back:
        cursor.expect("SET")
    knob = _knob(cursor)
    if not knob:
        raise not_emulated("ALTER SYSTEM")
    if back:
        cursor.end()
        return Turn(knob, None, everywhere=True, tag="ALTER SYSTEM")
    return _turned(cursor, knob, "ALTER SYSTEM", everywhere=True)


def _unknown(name: str) -> RedshiftError:
    message = f'unrecognized configuration parameter "{name}"'
    return RedshiftError(message, "42704", rule="S3")


def _known(name: str) -> str:
    if name in NATIVE or name in READABLE:
        return name
    if name in OWN and holds("S3a"):
        return f"rs.{name}"
    if name == _CASE:
        raise not_emulated(name)
    raise _unknown(name)


def _given(cursor: Cursor) -> str:
    values = []
    while not cursor.done:
        token = cursor.take()
        if token.kind == "string":
            values.append(literal(token.value))
        elif token.text in ("-", ","):
            values.append(token.text)
        else:
            values.append(token.text if token.kind == "number" else f'"{token.name}"')
    return " ".join(values)


def plan_set(statement: Statement) -> str | Turn:
    """SET in the backend's words."""
    cursor = Cursor(statement.tokens, "S3")
    cursor.expect("SET")
    scope = "LOCAL " if cursor.accept("LOCAL") else ""
    if not scope:
        cursor.accept("SESSION")
    if cursor.word() in ("AUTHORIZATION", "CHARACTERISTICS", "SEED"):
        raise not_emulated(f"SET {cursor.word()}")
    if knob := _knob(cursor):
        return _turned(cursor, knob, "SET", everywhere=False)
    name = cursor.name()
    if name == _CASE and statement.tokens[-1].text.strip("'").lower() in ("off", "false"):
        return "SET rs.query_slot_count TO DEFAULT"
    target = _known(name)
    if name in READABLE:
        raise RedshiftError(f'parameter "{name}" cannot be changed', "55P02", rule="S3")
    if not cursor.accept("TO"):
        cursor.expect("=")
    if cursor.accept("DEFAULT"):
        cursor.end()
        return f"SET {scope}{target} TO DEFAULT"
    return f"SET {scope}{target} TO {_given(cursor) or 'DEFAULT'}"


def plan_reset(statement: Statement) -> str | Turn:
    """RESET in the backend's words."""
    cursor = Cursor(statement.tokens, "S3")
    cursor.expect("RESET")
    if cursor.accept("ALL"):
        cursor.end()
        return "RESET ALL"
    if knob := _knob(cursor):
        cursor.end()
        return Turn(knob, None, everywhere=False, tag="RESET")
    name = _known(cursor.name())
    cursor.end()
    return f"RESET {name}"


def plan_show(statement: Statement) -> str:
    """SHOW of one setting."""
    cursor = Cursor(statement.tokens, "S3")
    cursor.expect("SHOW")
    if cursor.accept("TRANSACTION", "ISOLATION", "LEVEL"):
        cursor.end()
        return "SHOW transaction_isolation"
    if cursor.word() in ("ALL", "TABLES", "SCHEMAS", "DATABASES", "COLUMNS", "TABLE", "VIEW"):
        raise not_emulated(f"SHOW {cursor.word()}")
    if knob := _knob(cursor):
        cursor.end()
        return f'SELECT {literal(standing(known(knob).name))}::text AS "{PREFIX}.{knob}"'
    asked = cursor.name()
    name = _known(asked)
    cursor.end()
    if asked == "server_version":
        raise RedshiftError(f'must be superuser to examine "{asked}"', "42501", rule="S3b")
    return f"SHOW {name}"


def isolation(knobs: Knobs) -> str:
    """The backend's level: its repeatable read is a snapshot."""
    if not holds("X1"):
        return "read committed"
    serializable = knobs["isolation"] == "serializable" and holds("X1b")
    return "serializable" if serializable else "repeatable read"


def mirror(knobs: Knobs) -> tuple[str, ...]:
    """What tells a backend where the knobs stand."""
    return (
        f"SET {PREFIX}.off TO {literal(knobs['off'])}",
        f"SET default_transaction_isolation TO {literal(isolation(knobs))}",
    )


def take_knobs(given: dict[str, str]) -> dict[str, str]:
    """Take the knobs out of the start-up parameters."""
    keys = [key for key in given if key.lower().startswith(f"{PREFIX}.")]
    return {key.lower().removeprefix(f"{PREFIX}."): given.pop(key) for key in keys}


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")


def backend_parameters(given: dict[str, str], knobs: Knobs) -> dict[str, str]:
    """The start-up parameters for the backend; what Redshift would not know is refused."""
    told = {f"{PREFIX}.off": knobs["off"], "default_transaction_isolation": isolation(knobs)}
    options = _OPTIONS | told
    passed = {}
    for key, value in given.items():
        name = key.lower()
        if name in ("user", "database") or name in NATIVE:
            passed[name] = value
        elif name in OWN and holds("S3a"):
            options[f"rs.{name}"] = value
        elif name not in _DRIVERS and not name.startswith("_pq_."):
            if holds("S3"):
                raise _unknown(key)
            passed[name] = value
    words = (f"-c {key}={_escaped(value)}" for key, value in options.items())
    return {**passed, "options": " ".join(words)}
