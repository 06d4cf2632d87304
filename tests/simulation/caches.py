"""Pure functions of the product, remembered while seeds are played.

Half of a seed's time would go into parsing the same few JSON texts and encoding the same few names
again. Each of these gives an immutable value for immutable arguments, so to remember it changes
nothing but the time. The product itself remembers none of it; nothing else of it is replaced.
"""

from __future__ import annotations

from functools import lru_cache

from s3rs_async.s3 import layout, manifest, register

_KEPT = 4096


def remember() -> None:
    """From now on, in this process."""
    layout.encode_name = lru_cache(_KEPT)(layout.encode_name)
    layout.root = lru_cache(_KEPT)(layout.root)
    layout.tkey = lru_cache(_KEPT)(layout.tkey)
    register.decode = lru_cache(_KEPT)(register.decode)
    manifest._decode = lru_cache(_KEPT)(manifest._decode)
