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
_COMMITTED, _CLEAN = "commit/extraction.py", "commit/clean.py"

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
                "                if found.etag != etag:\n                    return None\n",
                "                etag = found.etag\n",
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
    "NAIVEGC": Mutant(
        "s3clean deletes whatever the state does not name",
        (
            Edit(
                _CLEAN,
                "    if epoch >= state.epoch:\n        return Reason.LIVE\n"
                "    return Reason.ORPHAN if age >= terms.grace",
                "    return Reason.ORPHAN if age >= terms.grace",
            ),
        ),
    ),
    "NOEPOCH": Mutant(
        "the swap alone is believed to fence, and s3clean goes by the epoch",
        (Edit(_COMMITTED, "    if state.epoch != manifest.epoch:\n", "    if False:\n"),),
    ),
    "RESETOUT": Mutant(
        "a refresh empties the target in a transaction of its own",
        (
            Edit(
                _LOADER,
                '    async with session.transaction():\n        await reached("Y2:after")\n',
                '    if first.mode.value == "replace":\n'
                "        emptied = sql.qualified(first.target.table)\n"
                '        await session.execute(f"DELETE FROM {emptied}")\n'
                '    async with session.transaction():\n        await reached("Y2:after")\n',
            ),
            Edit(
                "redshift/apply.py",
                '            return f"DELETE FROM {sql.qualified(target)}"\n'
                "        case Mode.MERGE | Mode.DELETE:\n",
                "            return None\n        case Mode.MERGE | Mode.DELETE:\n",
            ),
        ),
    ),
    "SEQONLY": Mutant(
        "the ledger checks a number and not the parent",
        (
            Edit(
                _RULING,
                "    if manifest.generation == head.generation and manifest.parent == head.batch:\n"
                "        return Verdict.LOAD\n",
                "    if manifest.generation == head.generation:\n"
                "        is_next = manifest.seq > head.seq\n"
                "        return Verdict.LOAD if is_next else Verdict.ALREADY_LOADED\n",
            ),
            Edit(
                _RULING,
                "    if not unsettled(state, head) or head.batch in {p.batch for p in "
                "state.pending}:\n",
                "    if True:\n",
            ),
        ),
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
