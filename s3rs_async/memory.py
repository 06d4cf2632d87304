"""How this process gives memory back: at once, to the system, rather than keep it for later.

Rows are decoded by some threads, encoded by others, and let go of by a third kind. Allocators that
keep what each thread has freed for that thread (glibc's arenas, Arrow's mimalloc and jemalloc) hold
the same rows several times over before they use any of it again: a hundred megabytes more than
there are rows, for nothing. So everything comes from one of glibc's arenas, with whatever is very
large in pages of its own. What is smaller, blocks of rows among it, comes from the arena's end,
which glibc would give away and ask for again with every array that a decoder needs for a moment:
three times the decoder's time, spent on pages that are zeroed anew. So some of the end is kept.
What lies free between rows that are held is given back (`trim`) with every file and after every few
row groups, or ever more of it would; after each it would cost a tenth of a job's processor time.
Elsewhere than in glibc only Arrow is told.

Python's own collector would look for cycles again and again in the modules of a start, which all
stay. It sleeps until they are imported, and passes over them from then on.

numpy's linear algebra, which nothing here uses, is told to start no threads: each would have memory
of its own, and spin for a while at every start. What users have given in the environment stays what
they gave.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os

_ARENA_MAX, _MMAP_THRESHOLD, _TRIM_THRESHOLD = -8, -3, -1
_LARGE = 1 << 23  # above a block of rows and a column of a row group
_KEPT = 1 << 24


def give_back() -> None:
    """Set the process's allocators so, before anything imports Arrow or numpy.

    Both read their variables once, when they are loaded; a pool of Arrow's that is set later is not
    the one that its parquet writer takes its memory from. Cycles are let be until `imported`.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.disable()
    with contextlib.suppress(AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_ARENA_MAX, 1)
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_TRIM_THRESHOLD, _KEPT)


def imported() -> None:
    """What is there now stays; whatever comes is looked through for cycles."""
    gc.freeze()
    gc.enable()


def trim() -> None:
    """Give back whole pages that lie free between those in use; blocks for some milliseconds."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(_KEPT)
