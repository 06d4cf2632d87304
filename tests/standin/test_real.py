"""The stand-in's checks against a real cluster, where the environment names one (see REAL.md).

A check that fails there is a difference between the stand-in and Redshift. The report at the end of
the run says which rules that leaves standing.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.standin import real
from tests.standin.book import CHECKS
from tests.standin.probes import PROBES, told
from tests.standin.site import open_site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.standin.checks import Check

pytestmark = [pytest.mark.real, pytest.mark.timeout(2 * real.SECONDS)]
LACKING = real.lacking(os.environ)
NAMED = bool(os.environ.get("REAL_REDSHIFT_URL"))
NEEDED = "; ".join(f"{name}={what}" for name, what in real.NEEDED.items())
SEEN = (
    AssertionError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    ConnectionError,
    TimeoutError,
)


def name() -> str:
    """A name that nobody else has."""
    return f"s3rs_check_{secrets.token_hex(6)}"


@pytest.fixture(scope="module")
def cluster() -> Iterator[real.Cluster]:
    if LACKING:
        pytest.fail(f"a cluster is named, but not {', '.join(LACKING)}", pytrace=False)
    with real.open_cluster(os.environ, name()) as found:
        yield found


if not NAMED:

    @pytest.mark.skip(reason=f"NO REAL CLUSTER: set {NEEDED}")
    def test_a_real_cluster_is_named() -> None:
        """It takes an account; CI has none."""

else:

    @pytest.mark.parametrize("check", real.asked(CHECKS), ids=real.title)
    async def test_the_cluster_does_as_the_rule_says(
        check: Check, cluster: real.Cluster, record_property: Callable[[str, Any], None]
    ) -> None:
        seen = ""
        try:
            async with open_site(cluster.place, name()) as at:
                await check(at)
        except SEEN as error:
            seen = cluster.scrubbed(_told(error)) or type(error).__name__
        record_property(real.PROPERTY, real.Answer(check.name, seen, check.rule).written())
        if seen:
            pytest.fail(f"{check}: what was seen: {seen}", pytrace=False)

    @pytest.mark.parametrize("question", PROBES)
    async def test_what_was_seen_is_told(
        question: str, cluster: real.Cluster, record_property: Callable[[str, Any], None]
    ) -> None:
        try:
            async with open_site(cluster.place, name()) as at:
                seen = await PROBES[question](at)
        except SEEN as error:
            seen = f"not answered: {_told(error)}"
        answer = real.Answer(question.replace("_", " "), cluster.scrubbed(seen))
        record_property(real.PROPERTY, answer.written())


def _told(error: BaseException) -> str:
    if isinstance(error, asyncpg.PostgresError):
        return told(error)
    return f"{type(error).__name__}: {error}"
