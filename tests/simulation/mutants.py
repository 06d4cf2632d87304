"""The naive variants of the protocol, as patches of the product's source.

Each is a mistake that others have made, or that the model was shown. They are applied to a copy of
the package, never to the package, and a text that is not there exactly once is an error: so a patch
cannot rot in silence while the product goes on.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Edit:
    """One text of one file, and what stands there instead."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mistake: in words, and as edits; `kinds` of seeds in which it shows."""

    mistake: str
    edits: tuple[Edit, ...]


_REGISTER, _EXTRACT = "s3/register.py", "extract.py"
_LOADER, _LEDGER, _RULING = "redshift/loader.py", "redshift/ledger.py", "commit/ledger.py"
_COMMITTED = "commit/extraction.py"

_PUT = "return await self._store.put_if(self._layout.state, body, etag)\n"
_UNRESOLVED = Edit(  # whatever is not a plain yes counts as a no, and nobody looks
    _REGISTER,
    "                trouble = doubt\n                found = await self._look(doubt)\n",
    "                return None\n                found = await self._look(doubt)\n",
)
_COMMIT = "            committed = await job.register.change(change)\n"
_TIDY = """            try:
                committed = await job.register.swap(owned, change)
            except Error:
{check}                for part in parts:
                    await job.stage.delete([part.key])
                await job.stage.delete([sealed.key])
                raise
"""
_RECHECK = """                now = await job.register.read()
                if now is not None and now.state.last_batch == made.batch:
                    raise
"""

MUTANTS: dict[str, Mutant] = {
    "NOCAS": Mutant(
        "a lease, then a plain PUT",
        (Edit(_REGISTER, _PUT, "return await self._store.put(self._layout.state, body)\n"),),
    ),
    "BLIND": Mutant(
        "on 412 the new ETag is fetched and the old content put under it",
        (
            Edit(
                _REGISTER,
                "                if (found.etag if found is not None else None) != etag:\n"
                "                    return None\n",
                "                etag = found.etag if found is not None else None\n",
            ),
        ),
    ),
    "NOLEDGER": Mutant(
        "COPY, COMMIT, then a mark in S3: no ledger is asked",
        (
            Edit(
                _RULING,
                "    first: int | None = None\n",
                "    return Ruling(Verdict.LOAD, 0)\n    first: int | None = None\n",
            ),
        ),
    ),
    "NOLOCK": Mutant(
        "the ledger is read without its lock",
        (
            Edit(
                _LOADER,
                "            await ledger.lock(session, first.target, terms.ghost_timeout)\n",
                "            pass\n",
            ),
        ),
    ),
    "SNAPFIRST": Mutant(
        "the ledger is read, then locked",
        (
            Edit(
                _LOADER,
                "            await ledger.lock(session, first.target, terms.ghost_timeout)\n",
                "            await ledger.read_head(session, first.target)\n"
                "            await ledger.lock(session, first.target, terms.ghost_timeout)\n",
            ),
        ),
    ),
    "CLEANUP": Mutant(
        "own files are deleted when the swap has failed",
        (_UNRESOLVED, Edit(_EXTRACT, _COMMIT, _TIDY.format(check=""))),
    ),
    "RECHECKCUR": Mutant(
        "after a lost answer only the newest batch is looked at, and own files deleted",
        (_UNRESOLVED, Edit(_EXTRACT, _COMMIT, _TIDY.format(check=_RECHECK))),
    ),
}


def mutated(mutant: Mutant, package: Path, into: Path) -> Path:
    """A copy of the package with the mistake in it; the folder to be put first on the path."""
    copy = into / package.name
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__", "sandbox", "demo"))
    for edit in mutant.edits:
        file = copy / edit.file
        text = file.read_text("utf-8")
        if text.count(edit.old) != 1:
            raise LookupError(f"{edit.file} has this {text.count(edit.old)} times:\n{edit.old}")
        file.write_text(text.replace(edit.old, edit.new), "utf-8")
    return into
