"""Every configuration of the model that is searched, and what each is expected to show.

Sizes are chosen so that the whole fits six minutes of two cores. `thorough` searches are worth an
optimised build, which costs more than most searches do. The naive variants are small on purpose: a
mistake that needs a large search to be seen is one that a small model would have let through.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.model.checker import Verdict


@dataclass(frozen=True, slots=True)
class Configuration:
    """Parts and sizes of the model as `-D` flags; `limit` is in seconds of the processor."""

    name: str
    flags: tuple[str, ...]
    expected: Verdict = Verdict.SAFE
    short: bool = False
    thorough: bool = False
    limit: int = 240

    def __str__(self) -> str:
        return self.name


def _holds(name: str, flags: str, *, short: bool = False, thorough: bool = True) -> Configuration:
    return Configuration(name, tuple(flags.split()), short=short, thorough=thorough)


def _breaks(name: str, flags: str, *, short: bool = True) -> Configuration:
    return Configuration(name, tuple(flags.split()), expected=Verdict.CAUGHT, short=short)


_ONE = "ONE CLAIMS=2"
_TWO = "CLAIMS=1"
_FOR_ROLLBACK = "MAXB=13 RES=8"
_FOR_REPLAY = "MAXB=13 RES=6"

PROTOCOL = (
    _holds("two daemons, 3 faults", f"{_TWO} FAULTS=3"),
    _holds("two daemons, 1 fault", f"{_TWO} FAULTS=1", short=True, thorough=False),
    _holds("two daemons, 2 claims", "CLAIMS=2 FAULTS=1"),
    _holds("rebase, 2 faults", f"{_TWO} FAULTS=2 REBASE"),
    _holds("s3clean", f"{_TWO} FAULTS=1 GC"),
    _holds("full refresh", f"{_TWO} FAULTS=1 CLI_RESET"),
    _holds("load-only command", f"{_TWO} FAULTS=1 CLI_LOAD"),
    _holds("old state put back", f"{_TWO} FAULTS=1 ROLLBACK {_FOR_ROLLBACK}"),
    _holds("rebase, load-only command", f"{_TWO} FAULTS=1 REBASE CLI_LOAD"),
    _holds("rebase, s3clean", f"{_TWO} FAULTS=1 REBASE GC"),
)
"""The page's protocol without overrides."""

EXTENSIONS = (
    _holds("chain", f"{_TWO} FAULTS=2 MULTI"),
    _holds("barrier for lock", f"{_TWO} FAULTS=1 NOLOCK BARRIER", short=True, thorough=False),
    _holds("barrier, late lock", f"{_TWO} FAULTS=1 SNAPFIRST BARRIER", thorough=False),
    _holds("two pipelines", f"{_TWO} FAULTS=1 TWO"),
    _holds("set-watermark, merge", f"{_ONE} FAULTS=1 SETWM MERGE REBASE SKIP"),
    _holds("set-watermark, append", f"{_ONE} FAULTS=1 SETWM REBASE SKIP"),
    _holds("set twice, append", f"{_ONE} FAULTS=0 SETWM REBASE OVERRIDES=2", thorough=False),
    _holds("set, state put back, append", f"{_ONE} FAULTS=0 SETWM ROLLBACK {_FOR_ROLLBACK}"),
    _holds("replay, same ledger", f"{_ONE} FAULTS=1 REPLAY=1 REBASE {_FOR_REPLAY}", thorough=False),
    _holds(
        "replay, new generation", f"{_ONE} FAULTS=1 REPLAY=2 REBASE {_FOR_REPLAY}", thorough=False
    ),
    _holds("replay, s3clean", f"{_ONE} FAULTS=0 REPLAY=2 REBASE GC {_FOR_REPLAY}"),
    _holds(
        "replay, new cluster",
        f"{_ONE} FAULTS=1 REPLAY=2 NEWCLUSTER {_FOR_ROLLBACK}",
        thorough=False,
    ),
    _holds("replay, state put back", f"{_ONE} FAULTS=0 REPLAY=1 ROLLBACK {_FOR_ROLLBACK}"),
    _holds("replay anew, state put back", f"{_ONE} FAULTS=0 REPLAY=2 ROLLBACK {_FOR_ROLLBACK}"),
)
"""What the page has beside it: chains, overrides, replay, two feeders."""

NAIVE = (
    _breaks("plain PUT under a lease", f"{_TWO} FAULTS=1 NOCAS"),
    _breaks("new ETag, old content", f"{_TWO} FAULTS=1 BLIND"),
    _breaks("no ledger", f"{_TWO} FAULTS=1 NOLEDGER"),
    _breaks("no lock", f"{_TWO} FAULTS=1 NOLOCK"),
    _breaks("SELECT, then LOCK", f"{_TWO} FAULTS=1 SNAPFIRST"),
    _breaks("a lost PUT tidied up", f"{_TWO} FAULTS=1 CLEANUP"),
    _breaks("only the current state asked", f"{_TWO} FAULTS=1 RECHECKCUR"),
    _breaks("s3clean: what is not named", f"{_TWO} FAULTS=1 GC NAIVEGC", short=False),
    _breaks("s3clean, epochs not checked", f"{_TWO} FAULTS=0 GC NOEPOCH", short=False),
    _breaks("wipe in its own transaction", f"{_TWO} FAULTS=1 CLI_RESET RESETOUT", short=False),
    _breaks("ledger of numbers", f"{_TWO} FAULTS=1 ROLLBACK SEQONLY {_FOR_ROLLBACK}", short=False),
    _breaks("chain: last one in the ledger", f"{_TWO} FAULTS=1 MULTI LASTONLY"),
    _breaks("chain: all pending settled", f"{_TWO} FAULTS=1 MULTI SETTLEALL"),
    _breaks("two: feeder not asked", f"{_TWO} FAULTS=1 TWO NOFEEDER"),
    _breaks("two: feeder asked before lock", f"{_TWO} FAULTS=1 TWO FEEDEARLY"),
    _breaks("two: refresh need not ask", f"{_TWO} FAULTS=1 TWO FEEDREPLACE", short=False),
    _breaks("set: no epoch bump", f"{_ONE} FAULTS=1 SETWM MERGE REBASE NOBUMP"),
    _breaks("set: append, no window", f"{_ONE} FAULTS=1 SETWM NOWINDOW"),
    _breaks("set: window of rows read", f"{_ONE} FAULTS=1 SETWM WINROWS", short=False),
    _breaks("set: second forgets first", f"{_ONE} FAULTS=1 SETWM WINLOST OVERRIDES=2"),
    _breaks(
        "set: reconciled by head",
        f"{_ONE} FAULTS=0 SETWM ROLLBACK HEADONLY {_FOR_ROLLBACK}",
        short=False,
    ),
    _breaks("replay: appended", f"{_ONE} FAULTS=1 REPLAY=1 APPENDAGAIN {_FOR_REPLAY}"),
    _breaks("replay: ETag taken anew", f"{_ONE} FAULTS=1 REPLAY=1 BLINDREPLAY {_FOR_REPLAY}"),
    _breaks(
        "replay: watermark moves",
        f"{_ONE} FAULTS=0 REPLAY=1 SETWM MERGE MOVES {_FOR_REPLAY}",
        short=False,
    ),
    _breaks("replay: one by one", f"{_ONE} FAULTS=1 REPLAY=2 ONEBYONE {_FOR_REPLAY}"),
    _breaks("replay: without pending", f"{_ONE} FAULTS=1 REPLAY=2 NOPENDING {_FOR_REPLAY}"),
    _breaks(
        "replay: no claim, s3clean",
        f"{_ONE} FAULTS=1 REPLAY=2 NOCLAIM REBASE GC {_FOR_REPLAY}",
        short=False,
    ),
    _breaks(
        "replay: position of the state",
        f"{_ONE} FAULTS=0 REPLAY=2 ROLLBACK POSKEEP {_FOR_ROLLBACK}",
    ),
    _breaks(
        "replay: reconciled by head", f"{_ONE} FAULTS=0 REPLAY=1 ROLLBACK HEADONLY {_FOR_ROLLBACK}"
    ),
    _breaks(
        "replay: refresh is due",
        f"{_ONE} FAULTS=0 REPLAY=2 CLI_RESET INREFRESH {_FOR_REPLAY}",
        short=False,
    ),
)
"""Mistakes that are easily made, the page's eleven first."""

EVERY = (*PROTOCOL, *EXTENSIONS, *NAIVE)
SHORT = tuple(each for each in EVERY if each.short)
