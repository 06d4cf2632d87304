"""The process gives memory back, unless its user has said how memory is to be had."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from s3rs_async import memory


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    before = pa.default_memory_pool()
    yield
    pa.set_memory_pool(before)


def test_arrow_takes_the_allocator_that_keeps_least(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARROW_DEFAULT_MEMORY_POOL", raising=False)
    pa.set_memory_pool(pa.system_memory_pool())

    memory.give_back()
    memory.give_back()

    has = "jemalloc" in pa.supported_memory_backends()
    assert pa.default_memory_pool().backend_name == ("jemalloc" if has else "system")


def test_the_users_own_choice_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARROW_DEFAULT_MEMORY_POOL", "system")
    pa.set_memory_pool(pa.system_memory_pool())

    memory.give_back()

    assert pa.default_memory_pool().backend_name == "system"
