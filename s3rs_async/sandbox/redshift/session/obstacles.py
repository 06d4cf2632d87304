"""What a COPY meets when knobs hold faults ready for it.

The knobs are asked once, when the COPY starts: that is what they count. A session's end on purpose
is a CutError, which only the session itself catches.
"""

from __future__ import annotations

import asyncio
import contextlib

from ..faults import RedshiftError, Report
from ..knobs import Knobs

_FIRST_ROWS = 2  # the header of the stream is its first piece


class CutError(Exception):
    """The connection ends now, without a word."""


def _failed(moment: str) -> RedshiftError:
    message = f"the stand-in was told to fail this COPY: fail_copy, {moment}"
    report = Report(9999, message, "knobs", "padbmaster")
    return RedshiftError(message, rule="stand-in", report=report)


class Obstacles:
    """The faults of one COPY."""

    def __init__(self, knobs: Knobs, stop: asyncio.Event) -> None:
        self._stop = stop
        self._pause = knobs.seconds("slow_copy")
        self._fail = knobs.strike("fail_copy", "before", "mid", "after")
        self._cut = bool(knobs.strike("drop", "copy"))
        self._pieces = 0

    def before(self) -> None:
        """No row has gone to the backend yet."""
        if self._fail == "before":
            raise _failed("before")

    async def piece(self) -> None:
        """A piece of the stream has gone to the backend; a cancel request ends the wait."""
        self._pieces += 1
        if self._pause:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause):
                    await self._stop.wait()
        if self._pieces == _FIRST_ROWS:
            self._amid()

    def _amid(self) -> None:
        if self._cut:
            raise CutError
        if self._fail == "mid":
            raise _failed("mid")

    def after(self) -> None:
        """Every row is loaded; a COPY of no rows had no middle, so it meets that here."""
        if not self._pieces:
            self.before()
        if self._pieces <= _FIRST_ROWS:
            self._amid()
        if self._fail == "after":
            raise _failed("after")
