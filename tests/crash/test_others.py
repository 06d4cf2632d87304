"""Crashes at every step of s3clean, and of what a person does to a state."""

from __future__ import annotations

import pytest

from tests.crash.every import parts_of

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

test_a_crash_is_made_good, test_any_crash_is_made_good = parts_of("GR")
