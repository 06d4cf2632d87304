"""A result's rows from the driver's connection into blocks, and how long is waited for them.

While rows come, the connection's transport is ours: what it receives it writes straight into a
block, where the driver's reader would copy it twice. It is given back with the result's end, or
with the failure that drops the connection. Two blocks may be full; then nothing more is received,
and the server waits.

A server may think for hours before the first row (a sort, a slow view), so until then the limit is
generous; a network that is dead shows by the sockets' own probes. Between rows a long silence means
that nobody is there any more: the connection is lost. Only waiting for the server counts, never the
time that the consumer takes, for which the server waits (`net_write_timeout`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from ..errors import Error
from .dial import BUFFER
from .wire import MOST_ROW_BYTES, Cutter, Packets

_IDLE_SECONDS = 0.05
_FULL_BLOCKS = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a row may be, and how long is waited: for a result's first row, and for more."""

    row_bytes: int = MOST_ROW_BYTES
    answer_seconds: float = 14_400.0
    silent_seconds: float = 600.0


@contextlib.asynccontextmanager
async def patient(seconds: float, waiting: str) -> AsyncIterator[None]:
    """A server that is silent for so long is a lost connection."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise  # the network's own
        raise TimeoutError(f"the source was silent for {seconds:g} s {waiting}") from error


@contextlib.asynccontextmanager
async def receiving(connection: Any, cutter: Cutter, limits: Limits) -> AsyncIterator[Intake]:  # noqa: ANN401 - untyped driver
    """The rows of the result whose columns were read, as they come, into the cutter."""
    reader, transport = connection._reader, connection._writer.transport  # noqa: SLF001
    while reader._buffer and not cutter.done:  # noqa: SLF001 - so nothing is waited for
        cutter.feed(await reader.read(BUFFER))
    cutter.walk()  # a result that was refused at once goes no further
    intake = Intake(cutter, transport, limits)
    try:
        if not cutter.done:
            if reader.exception() is not None:
                raise reader.exception()
            if reader._eof:  # noqa: SLF001 - which nobody would tell us again
                cutter.check(0)
            intake.take_over()
        yield intake
    finally:
        intake.leave()


class Intake(asyncio.BufferedProtocol):
    """The transport's protocol while rows come: it receives into the cutter's block."""

    def __init__(self, cutter: Cutter, transport: Any, limits: Limits) -> None:  # noqa: ANN401 - any loop's
        self._cutter = cutter
        self._transport = transport
        self._limits = limits
        self._before: Any = None
        self._failure: BaseException | None = None
        self._come = asyncio.Event()

    def take_over(self) -> None:
        """From here on what is received is ours."""
        self._before = self._transport.get_protocol()
        self._change(self)

    def leave(self) -> None:
        """The driver receives again."""
        if self._before is not None:
            self._change(self._before)

    def _change(self, protocol: asyncio.BaseProtocol) -> None:
        """Some loops look at the protocol only when they begin to read."""
        if self._transport.is_closing():
            self._transport.set_protocol(protocol)
            return
        if self._transport.is_reading():
            self._transport.pause_reading()
        self._transport.set_protocol(protocol)
        self._transport.resume_reading()

    async def block(self) -> Packets | None:
        """The next block of rows, or those at the end; None behind it."""
        cutter = self._cutter
        self._go_on()
        while not (cutter.done or cutter.full):
            await self._more()
        if not cutter.ready:
            return None
        packets = cutter.take()
        self._go_on()
        return packets

    def _go_on(self) -> None:
        """Receive more if there is room for it."""
        transport = self._transport
        if self._before is None or transport.is_closing() or transport.is_reading():
            return
        if not self._cutter.done and self._cutter.blocks < _FULL_BLOCKS:
            transport.resume_reading()

    async def _more(self) -> None:
        """Wait for a full block or the end; what has come until then is walked now and then."""
        idle = asyncio.timeout(_IDLE_SECONDS if self._cutter.waiting else None)
        self._come.clear()
        try:
            async with patient(self._limits.silent_seconds, "in the middle of a result"), idle:
                await self._something()
        except TimeoutError:
            if not idle.expired():
                raise
            self._cutter.walk()

    async def _something(self) -> None:
        """Wait for a full block, for the end, or for any bytes where none wait to be walked."""
        if self._failure is None:
            await self._come.wait()
        if self._failure is not None:
            raise self._failure

    # what the transport tells

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the transport's own wish
        """Where the next bytes go."""
        return self._cutter.room()

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes have come."""
        cutter = self._cutter
        waited = cutter.waiting
        try:
            cutter.took(nbytes)
        except Error as failure:
            self._failed(failure)
            return
        if (cutter.done or cutter.blocks >= _FULL_BLOCKS) and self._transport.is_reading():
            self._transport.pause_reading()
        if cutter.done or cutter.full or not waited:
            self._come.set()

    def eof_received(self) -> bool | None:
        """The server will send no more."""
        self._ended()
        kept: bool | None = self._before.eof_received()
        return kept

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        if exc is None:
            self._ended()
        else:
            self._failed(exc)
        self._before.connection_lost(exc)

    def pause_writing(self) -> None:
        """The driver's own to know."""
        self._before.pause_writing()

    def resume_writing(self) -> None:
        """The driver's own to know."""
        self._before.resume_writing()

    def _ended(self) -> None:
        if self._cutter.done:
            return
        try:
            self._cutter.walk()  # its last words may be an error
            if not self._cutter.done:
                self._cutter.check(0)
        except Error as failure:
            self._failed(failure)

    def _failed(self, failure: BaseException) -> None:
        self._failure = self._failure or failure
        self._come.set()
