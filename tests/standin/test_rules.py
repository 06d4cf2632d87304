"""Each rule of the table has checks, and the stand-in passes them."""

from __future__ import annotations

import pytest

from s3rs_async.sandbox.redshift.rules import RULES
from tests.standin.book import CHECKS
from tests.standin.checks import Check
from tests.standin.site import Place, open_site

pytestmark = pytest.mark.standin


@pytest.mark.parametrize("check", CHECKS, ids=str)
async def test_the_stand_in_does_as_its_rule_says(check: Check, place: Place, schema: str) -> None:
    async with open_site(place, schema) as at:
        await check(at)


def test_each_rule_has_a_check_that_proves_it_and_each_check_a_rule() -> None:
    assert {check.rule for check in CHECKS} <= set(RULES)
    assert set(RULES) - {check.rule for check in CHECKS if check.proves} == set()


def test_every_rule_says_what_it_rests_on() -> None:
    assert [rule.number for rule in RULES.values() if not (rule.evidence and rule.text)] == []


def test_there_are_at_least_200_checks() -> None:
    assert len(CHECKS) >= 200
