"""Overrides of a state that is there: the core decides again at each swap that was lost."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from .. import commit
from ..commit import NO_CONSENT, Consent, State
from ..errors import ConfigError
from ..s3.codec import pack, unpack
from .bench import Changed, edit, landed, standing

if TYPE_CHECKING:
    from ..model import Mode, Position
    from ..s3.register import Change, Register, Versioned

EDITABLE: Final = (
    "position",
    "replace_window",
    "replace_pending",
    "backup_strategy",
    "last_mysql_data_timestamp",
    "last_mysql_extraction_time",
    "last_failure",
    "stop",
)


async def full_refresh(register: Register, *, who: str, reason: str = "") -> Versioned:
    """Let the next batch replace the target, from the beginning; nothing is wiped before it."""
    await standing(register)
    return await landed(partial(register.change, _refreshing(who, reason)))


async def refresh(register: Register, *, who: str, dry: bool = False) -> Changed:
    """The same, told or only foretold."""
    return await _changed(register, _refreshing(who, "force-reset"), dry=dry)


async def set_watermark(
    register: Register,
    position: Position | None,
    made: commit.Edit,
    *,
    mode: Mode,
    consent: Consent = NO_CONSENT,
    dry: bool = False,
) -> Changed:
    """Let the table be read on from `position`, without a wipe, where the rules allow it."""
    change = partial(
        commit.with_watermark, position=position, edit=made, mode=mode, consent=consent
    )
    return await _changed(register, change, dry=dry)


async def edit_fields(
    register: Register, fields: Mapping[str, object], *, who: str, dry: bool = False
) -> Changed:
    """Write some fields as they are given; what they mean together is the person's own matter."""
    made = edit(f"edit: {', '.join(sorted(fields))}", who)
    if await standing(register) is None:
        raise ConfigError(
            "the table has no state to edit", hint="s3rs watermark list shows those that have"
        )
    return await _changed(register, partial(_edited, fields=fields, made=made), dry=dry)


async def _changed(register: Register, change: Change, *, dry: bool) -> Changed:
    found = await standing(register)
    before = found.state if found is not None else register.birth
    if dry:
        return Changed(before, change(before), None)
    won = await landed(partial(register.change, change))
    return Changed(before, won.state, won.version)


def _refreshing(who: str, reason: str) -> Change:
    made = edit(": ".join(filter(None, ("full-refresh", reason))), who)
    return partial(commit.full_refreshed, edit=made)


def _edited(state: State, *, fields: Mapping[str, object], made: commit.Edit) -> State:
    if commit.is_applied(state, made):
        return state
    _check_fields(fields)
    try:
        after = unpack(State, {**pack(state), **fields})
    except ValueError as reason:
        raise ConfigError(
            "a field would not be what it must be",
            table=state.table,
            reason=str(reason),
            hint="s3rs watermark export shows how it is written",
        ) from reason
    return commit.audited(state, replace(after, epoch=state.epoch + 1, claim=None), made)


def _check_fields(fields: Mapping[str, object]) -> None:
    for name in fields.keys() - set(EDITABLE):
        near = difflib.get_close_matches(name, EDITABLE, 1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise ConfigError(
            "the field is not one to be edited",
            field=name,
            hint=f"{meant}those that are: {', '.join(EDITABLE)}",
        )
    if fields.get("stop") is not None:
        raise ConfigError(
            "a table is not stopped by hand", hint="edit stop to null, which lets it go on"
        )
