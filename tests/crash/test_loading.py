"""Crashes at every step of a sync that loads."""

from __future__ import annotations

import pytest

from tests.crash.every import parts_of

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

test_a_crash_is_made_good, test_any_crash_is_made_good = parts_of("Y")
