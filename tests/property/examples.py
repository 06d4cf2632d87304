"""How many examples the protocol's properties are tried on: 2,000 each in an ordinary run.

What has no order of events in it, only the form of what is written, is tried on 500 (`plain`).

    TEST_EXAMPLES=100000 ./dev test tests/property -k "commit or register"      as each night

Seeds are fixed in the short run, so that it says the same twice; a long one takes new ones.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Callable

_ASKED = int(os.environ.get("TEST_EXAMPLES") or 0)
EXAMPLES = _ASKED or 2000

thorough: Callable[[Callable[..., None]], Callable[..., None]] = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not _ASKED,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
plain: Callable[[Callable[..., None]], Callable[..., None]] = settings(
    max_examples=_ASKED or 500,
    deadline=None,
    derandomize=not _ASKED,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
