"""Pure functions of the product, remembered while seeds are played.

A third of a seed's time would go into parsing the same few JSON texts, encoding the same few names
and writing the same few statements again. Each of these gives an immutable value for immutable
arguments, so to remember it changes nothing but the time. The product itself remembers none of it;
nothing else of it is replaced.
"""

from __future__ import annotations

from functools import lru_cache

from s3rs_async import planning
from s3rs_async.redshift import sql
from s3rs_async.s3 import layout, manifest, register

_KEPT = 4096
_STATEMENTS = (
    "create_ledger",
    "create_table",
    "fold",
    "insert_head",
    "insert_ledger",
    "ledger_names",
    "lock_head",
    "qualified",
    "quote",
    "read_batches",
    "read_chain",
    "read_head",
    "recorded",
    "update_head",
)


def remember() -> None:
    """From now on, in this process."""
    kept = lru_cache(_KEPT)
    layout.encode_name = kept(layout.encode_name)
    layout.root = kept(layout.root)
    layout.tkey = kept(layout.tkey)
    register.decode = kept(register.decode)
    manifest._decode = kept(manifest._decode)
    planning.choose = kept(planning.choose)
    planning.with_types = kept(planning.with_types)
    for name in _STATEMENTS:
        setattr(sql, name, kept(getattr(sql, name)))
