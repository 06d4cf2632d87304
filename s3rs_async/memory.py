"""How this process gives memory back: at once, to the system, rather than keep it for later.

Rows are decoded by some threads, encoded by others, and let go of by a third kind. Allocators that
keep what each thread has freed for that thread (glibc's arenas, mimalloc) hold the same rows
several times over before they use any of it again: a hundred megabytes more than there are rows,
for nothing. So Arrow takes jemalloc where its build has it, and glibc one arena, with whatever is
large in pages of its own. What is smaller comes from the arena's end, which glibc would give away
and ask for again with every array that a decoder needs for a moment: three times the decoder's
time, spent on pages that are zeroed anew. So some of the end is kept. Elsewhere than in glibc
nothing is changed, and a name that users have given in the environment stays what they gave.
"""

from __future__ import annotations

import contextlib
import ctypes
import os

import pyarrow as pa

_ARENA_MAX, _MMAP_THRESHOLD, _TRIM_THRESHOLD = -8, -3, -1
_LARGE = 1 << 20
_KEPT = 1 << 24


def give_back() -> None:
    """Set the process's allocators so; asked for more than once it is the same."""
    if "ARROW_DEFAULT_MEMORY_POOL" not in os.environ:
        with contextlib.suppress(NotImplementedError):
            pa.set_memory_pool(pa.jemalloc_memory_pool())
    with contextlib.suppress(AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_ARENA_MAX, 1)
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_TRIM_THRESHOLD, _KEPT)
