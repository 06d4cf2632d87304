"""What other tools call our settings, for those who come from there.

Words for the cursor and the mode are read as ours, with a notice that says what to write, where
what they mean is plain. The rest are refused with the word that is ours. To say one thing with both
words is an error: whichever won, it would surprise somebody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..document import Document, Fault, Loc, Plain
from .strict import dotted

CURSOR_WORDS = frozenset({"update_key", "cursor_field", "replication_key", "incremental_key"})

ELSEWHERE: Mapping[str, str] = {
    "unique_key": "here it is called primary_key",
    "merge_key": "here it is called primary_key",
    "interval": "here it is called every, and takes a duration such as 15m",
    "schedule": "here it is called every, and takes a duration such as 15m",
    "sync_frequency": "here it is called every, and takes a duration such as 15m",
    "where": "here it is called additional_where",
    "sql": "here it is called custom_sql",
    "query": "here it is called custom_sql",
    "object": "here it is called target_name",
    "table_name": "here it is called target_name",
}

_MODES: Mapping[str, tuple[str, str]] = {
    "incremental": ("cdc_strategy", "hybrid"),
    "hybrid": ("cdc_strategy", "hybrid"),
    "timestamp_only": ("cdc_strategy", "timestamp_only"),
    "id_only": ("cdc_strategy", "id_only"),
    "full-refresh": ("cdc_strategy", "full_sync"),
    "full_sync": ("cdc_strategy", "full_sync"),
    "append": ("apply", "append"),
    "merge": ("apply", "merge"),
    "replace": ("cdc_strategy", "full_sync"),
}


@dataclass(frozen=True, slots=True)
class Translation:
    """Settings in our words; `written` has the word that stands in the file for one of ours."""

    value: dict[str, Plain] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    notices: list[Fault] = field(default_factory=list)


def translate(
    document: Document, loc: Loc, settings: Mapping[str, Plain], strategy: object
) -> Translation:
    """The settings at `loc` in our words; `strategy` is the one they inherit."""
    said = Translation()
    if "mode" in settings:
        _mode(document, (*loc, "mode"), settings["mode"], said)
    strategy = said.value.get("cdc_strategy", settings.get("cdc_strategy", strategy))
    cursor = "cdc_id_column" if strategy == "id_only" else "cdc_timestamp_column"
    for word, given in settings.items():
        if word in CURSOR_WORDS:
            _cursor(document, (*loc, word), given, cursor, said)
    for word, given in settings.items():
        if word in said.written:
            _both(document, (*loc, said.written[word]), (word, word), said)
        elif word not in {"mode", *CURSOR_WORDS}:
            said.value[word] = given
    if said.faults:
        said.notices.clear()  # what is to be written there is told by the fault
    return said


def _mode(document: Document, loc: Loc, given: Plain, said: Translation) -> None:
    plain = str(given).lower().replace("full_refresh", "full-refresh")
    if plain in _MODES:
        ours, value = _MODES[plain]
        _take(document, loc, (ours, value), f"{ours}: {value}", said)
    elif loc not in document.unset:
        hint = f"write cdc_strategy or apply; of mode these are known: {', '.join(_MODES)}"
        said.faults.append(document.fault(loc, "unknown mode", hint, key=dotted(loc)))


def _cursor(document: Document, loc: Loc, given: Plain, ours: str, said: Translation) -> None:
    if isinstance(given, list) and len(given) != 1:
        hint = f"write {ours}: [first, second] if the first that is not NULL is meant"
        said.faults.append(document.fault(loc, "several columns", hint, key=dotted(loc)))
        return
    column = given[0] if isinstance(given, list) else given
    _take(document, loc, (ours, column), ours, said)


def _take(
    document: Document, loc: Loc, setting: tuple[str, Plain], write: str, said: Translation
) -> None:
    ours, value = setting
    word = str(loc[-1])
    if ours in said.written:
        _both(document, loc, (said.written[ours], ours), said)
        return
    said.value[ours] = value
    said.written[ours] = word
    said.notices.append(document.fault(loc, f"`{word}` is read as {write}", f"write {write}"))


def _both(document: Document, loc: Loc, other_ours: tuple[str, str], said: Translation) -> None:
    other, ours = other_ours
    said.faults.append(
        document.fault(
            loc, f"{loc[-1]} and {other} say one thing", f"write {ours} alone", key=dotted(loc)
        )
    )
