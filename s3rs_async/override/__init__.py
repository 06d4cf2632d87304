"""The state's commands at work: read the marks, decide by the core, write by compare-and-swap.

R1 reads the state, R2 the ledger where its word counts, R3 is the swap, R4 comes when all is
written. Nothing here opens an end, deletes an object or touches the target. An override is made
once whatever happens to its answer: its edit carries an id by which the state knows it. Each can be
asked for `dry`: then it says what it would do, and refuses what it would refuse.
"""

from __future__ import annotations

from .bench import Bench, Changed, Copy, edit, history, this_user
from .form import Form, form_of
from .legacy import take_over
from .rebuild import reconcile, restore
from .setting import EDITABLE, edit_fields, full_refresh, refresh, set_watermark
from .trade import body_of, export_of, take_in

__all__ = [
    "EDITABLE",
    "Bench",
    "Changed",
    "Copy",
    "Form",
    "body_of",
    "edit",
    "edit_fields",
    "export_of",
    "form_of",
    "full_refresh",
    "history",
    "reconcile",
    "refresh",
    "restore",
    "set_watermark",
    "take_in",
    "take_over",
    "this_user",
]
