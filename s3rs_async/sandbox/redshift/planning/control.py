"""Statements that steer the session: transactions, locks, maintenance, settings."""

from __future__ import annotations

from collections.abc import Callable

from ..dialect.tokens import Cursor, Statement, dotted, quoted
from ..faults import not_emulated
from ..rules import holds
from .ddl import Script
from .plans import Forward, Plan
from .settings import Turn, plan_reset, plan_set, plan_show

_NOTHING = "SHOW rs.query_group"
_SNAPSHOT = "SELECT 1"
CONTROL = frozenset({"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT"})


def _truncate(statement: Statement) -> Script:
    cursor = Cursor(statement.tokens, "L4")
    cursor.expect("TRUNCATE")
    cursor.accept("TABLE")
    table = dotted(cursor.qualified())
    cursor.end()
    return Script((f"TRUNCATE {table}",), "TRUNCATE TABLE", commits=holds("L4"))


def _vacuum(statement: Statement) -> Script:
    cursor = Cursor(statement.tokens, "L1")
    cursor.expect("VACUUM")
    for words in (("FULL",), ("SORT", "ONLY"), ("DELETE", "ONLY"), ("REINDEX",), ("RECLUSTER",)):
        if cursor.accept(*words):
            break
    table = "" if cursor.done else dotted(cursor.qualified())
    if cursor.accept("TO"):
        cursor.number()
        cursor.expect("PERCENT")
    cursor.accept("BOOST")
    cursor.end()
    if not holds("L1"):
        return Script((_NOTHING,), "VACUUM")
    return Script((f"VACUUM {table}",), "VACUUM", alone="VACUUM")


def _analyze(statement: Statement) -> Forward:
    cursor = Cursor(statement.tokens, "S1")
    cursor.take()
    if cursor.word() == "COMPRESSION":
        raise not_emulated("ANALYZE COMPRESSION")
    cursor.accept("VERBOSE")
    table = "" if cursor.done or cursor.word(1) == "COLUMNS" else dotted(cursor.qualified())
    follows = cursor.peek()
    if follows is not None and follows.text == "(":
        table += " (" + ", ".join(map(quoted, cursor.names())) + ")"
    elif not cursor.accept("PREDICATE", "COLUMNS"):
        cursor.accept("ALL", "COLUMNS")
    cursor.end()
    return Forward(f"ANALYZE {table}")


def _lock(statement: Statement) -> Plan:
    cursor = Cursor(statement.tokens, "S2")
    cursor.expect("LOCK")
    cursor.accept("TABLE")
    tables = [dotted(cursor.qualified())]
    while cursor.accept(","):
        tables.append(dotted(cursor.qualified()))
    cursor.end()
    mode = "ACCESS EXCLUSIVE" if holds("X3a") else "EXCLUSIVE"
    lock = f"LOCK TABLE {', '.join(tables)} IN {mode} MODE"
    return Forward(lock) if holds("X3") else Script((_SNAPSHOT, lock), "LOCK TABLE")


def _begin(statement: Statement) -> Forward:
    """Any isolation level may be asked for; the database's own is what runs (rule X6)."""
    cursor = Cursor(statement.tokens, "S2")
    if cursor.take().word == "START":
        cursor.expect("TRANSACTION")
    elif not cursor.accept("WORK"):
        cursor.accept("TRANSACTION")
    mode = ""
    while not cursor.done:
        cursor.accept(",")
        if cursor.accept("ISOLATION", "LEVEL"):
            if not (cursor.accept("SERIALIZABLE") or cursor.accept("REPEATABLE", "READ")):
                cursor.expect("READ")
                cursor.take()
        elif cursor.accept("READ", "ONLY"):
            mode = " READ ONLY"
        else:
            cursor.expect("READ", "WRITE")
    return Forward("BEGIN" + mode if holds("X6") else statement.text)


def _finish(statement: Statement) -> Forward:
    cursor = Cursor(statement.tokens, "S2")
    verb = cursor.take().word
    if not cursor.accept("WORK"):
        cursor.accept("TRANSACTION")
    cursor.end()
    return Forward(verb)


def _cancel(statement: Statement) -> Plan:
    if not holds("X7"):
        return Forward(statement.text)
    cursor = Cursor(statement.tokens, "S2")
    cursor.expect("CANCEL")
    pid = cursor.number()
    if not cursor.done:
        cursor.string()
    cursor.end()
    return Script((f"SELECT pg_cancel_backend({pid})",), "CANCEL")


def _set(statement: Statement) -> Plan:
    planned = plan_set(statement)
    return planned if isinstance(planned, Turn) else Forward(planned)


def _reset(statement: Statement) -> Plan:
    planned = plan_reset(statement)
    return planned if isinstance(planned, Turn) else Forward(planned)


def _show(statement: Statement) -> Forward:
    return Forward(plan_show(statement))


STEERING: dict[str, Callable[[Statement], Plan]] = {
    "TRUNCATE": _truncate, "VACUUM": _vacuum, "ANALYZE": _analyze, "ANALYSE": _analyze,
    "LOCK": _lock, "BEGIN": _begin, "START": _begin, "COMMIT": _finish, "END": _finish,
    "ROLLBACK": _finish, "ABORT": _finish, "CANCEL": _cancel, "SET": _set, "RESET": _reset,
    "SHOW": _show,
}  # fmt: skip
