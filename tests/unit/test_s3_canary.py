from __future__ import annotations

import asyncio
import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from s3rs_async import clock
from s3rs_async.config import S3Config
from s3rs_async.errors import ConfigError, UnavailableError, UnknownOutcomeError
from s3rs_async.s3.canary import cache_folder, ensure_conditions, prove
from s3rs_async.s3.object import BusyError, StaleError, Stored

CONFIG = S3Config(bucket="stage", endpoint="http://127.0.0.1:1")


class Shelf:
    """A store that errs as told."""

    def __init__(self, *, creates: bool = True, matches: bool = True) -> None:
        self.creates = creates
        self.matches = matches
        self.refuses_right = False
        self.faults: list[Any] = []
        self.object: Stored | None = None
        self.number = 0
        self.calls = 0

    async def get(self, _: str) -> Stored | None:
        await asyncio.sleep(0)
        return self.object

    async def put_if(self, _: str, body: bytes, etag: str | None) -> str:
        await asyncio.sleep(0)
        self.calls += 1
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, Exception):
            raise fault
        if fault is not None:
            fault(self)
        there = self.object.etag if self.object is not None else None
        checked = self.creates if etag is None else self.matches
        if (checked and there != etag) or (self.refuses_right and etag is not None):
            raise StaleError("412")
        self.number += 1
        self.object = Stored(body, f'"{self.number}"')
        return self.object.etag


async def test_a_good_store_is_asked_four_times_and_later_three() -> None:
    shelf = Shelf()
    await prove(shelf, "key")
    assert shelf.calls == 4
    await prove(shelf, "key")
    assert shelf.calls == 7


@pytest.mark.parametrize(
    ("shelf", "condition"),
    [(Shelf(creates=False), "If-None-Match"), (Shelf(matches=False), "If-Match")],
)
async def test_a_store_that_ignores_one_condition_is_refused(shelf: Shelf, condition: str) -> None:
    for _ in range(2):
        with pytest.raises(ConfigError) as failure:
            await prove(shelf, "key")
        assert failure.value.context["condition"] == condition
        assert failure.value.exit_code == 2


async def test_a_store_that_never_takes_a_right_condition_is_refused() -> None:
    shelf = Shelf()
    shelf.refuses_right = True
    with pytest.raises(ConfigError, match="the right one"):
        await prove(shelf, "key")


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("fault", [BusyError("409"), UnknownOutcomeError("500"), "rival"])
async def test_a_hiccup_or_a_rival_proves_nothing_and_is_tried_again(at: int, fault: Any) -> None:
    def rival(shelf: Shelf) -> None:
        shelf.number += 1
        shelf.object = Stored(b"theirs", f'"{shelf.number}"')

    shelf = Shelf()
    shelf.faults = [None] * at + [rival if fault == "rival" else fault]
    await prove(shelf, "key")


async def test_endless_hiccups_end_it() -> None:
    shelf = Shelf()
    shelf.faults = [UnknownOutcomeError("500")] * 100
    with pytest.raises(UnavailableError):
        await prove(shelf, "key")


async def test_a_good_answer_is_remembered_for_seven_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf, now = Shelf(), clock.utc_now()
    await ensure_conditions(shelf, CONFIG, tmp_path / "s3rs")
    await ensure_conditions(shelf, CONFIG, tmp_path / "s3rs")
    assert shelf.calls == 4

    monkeypatch.setattr(clock, "utc_now", lambda: now + dt.timedelta(days=7, seconds=60))
    await ensure_conditions(shelf, CONFIG, tmp_path / "s3rs")
    assert shelf.calls == 7


@pytest.mark.parametrize("other", [{"bucket": "other"}, {"endpoint": "http://127.0.0.1:2"}])
async def test_another_store_is_asked_for_itself(tmp_path: Path, other: dict[str, str]) -> None:
    shelf = Shelf()
    await ensure_conditions(shelf, CONFIG, tmp_path)
    await ensure_conditions(shelf, CONFIG.model_copy(update=other), tmp_path)
    assert shelf.calls == 7


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"at": 1}', '{"at": "2999-01-01T00:00:00Z"}'])
async def test_a_note_that_says_nothing_is_not_believed(tmp_path: Path, note: str) -> None:
    shelf = Shelf()
    await ensure_conditions(shelf, CONFIG, tmp_path)
    overwrite(tmp_path, note)
    await ensure_conditions(shelf, CONFIG, tmp_path)
    assert shelf.calls == 7


async def test_without_a_folder_it_is_asked_each_time(tmp_path: Path) -> None:
    shelf = Shelf()
    (tmp_path / "file").write_text("")
    for _ in range(2):
        await ensure_conditions(shelf, CONFIG, tmp_path / "file" / "below")
    assert shelf.calls == 7


def test_the_cache_folder_is_the_user_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_folder() == Path("/x/s3rs")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder() == Path("/home/someone/.cache/s3rs")


def overwrite(folder: Path, note: str) -> None:
    [file] = folder.iterdir()
    assert "at" in json.loads(file.read_text())
    file.write_text(note)
