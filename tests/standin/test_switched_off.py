"""With its rule switched off, every check fails: it sees the rule and nothing else."""

from __future__ import annotations

import asyncpg
import pytest

from tests.standin.book import CHECKS
from tests.standin.checks import Check
from tests.standin.site import Place, open_site

pytestmark = pytest.mark.standin
SEEN = (AssertionError, asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError)


@pytest.mark.parametrize("check", [each for each in CHECKS if each.proves], ids=str)
async def test_a_check_fails_without_its_rule(check: Check, place: Place, schema: str) -> None:
    async with open_site(place, schema, off=check.rule) as at:
        with pytest.raises(SEEN):
            await check(at)
