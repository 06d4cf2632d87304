"""With its rule switched off, every check fails: it sees the rule and nothing else.

The ordinary set has one check of each rule, `-m standin` has all.
"""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from tests.standin.book import CHECKS
from tests.standin.checks import Check
from tests.standin.site import Place, open_site

pytestmark = pytest.mark.standin
SEEN = (AssertionError, asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError)


def _proofs() -> list[Any]:
    seen: set[str] = set()
    proofs = []
    for each in filter(lambda check: check.proves, CHECKS):
        marks = [pytest.mark.thorough] if each.rule in seen else []
        proofs.append(pytest.param(each, marks=marks))
        seen.add(each.rule)
    return proofs


@pytest.mark.parametrize("check", _proofs(), ids=str)
async def test_a_check_fails_without_its_rule(check: Check, place: Place, schema: str) -> None:
    async with open_site(place, schema, off=check.rule) as at:
        with pytest.raises(SEEN):
            await check(at)
