"""A backend's errors in Redshift's words: SQLSTATE, message, detail; nothing of PostgreSQL's.

The check constraints that count bytes are named after the length they guard, so that their breach
can be told as Redshift tells it.
"""

from __future__ import annotations

import re

from .faults import Fields, Report

_OCTETS = re.compile(r"rs_octets_(\d+)_\d+")
_NULL = re.compile(r'null value in column "([^"]*)"')


def translate(fields: Fields) -> Fields:
    """A backend's error in Redshift's words."""
    state, values = fields.get("C"), dict(fields.values)
    for key in "WqpnFLRcdst":
        values.pop(key, None)
    octets = _OCTETS.fullmatch(fields.get("n"))
    missing = _NULL.match(fields.get("M"))
    if state == "40001":
        cycle = "transactions forming the cycle are: 0, 0 (pid:0)"
        detail = f"Serializable isolation violation on table - 0, {cycle}"
        values |= {"C": "XX000", "M": "1023", "D": detail}
    elif state == "23514" and octets:
        values |= {"C": "22001", "M": f"value too long for type character varying({octets[1]})"}
        values.pop("D", None)
    elif state == "23502" and missing:
        message = f"Cannot insert a NULL value into column {missing[1]}"
        values |= {"C": "XX000", "M": message, "D": Report(8007, message).text(message, 0)}
    elif state == "21000" and "MERGE" in fields.get("M"):
        values["M"] = "Found multiple matches to update the same tuple"
    return Fields(values)
