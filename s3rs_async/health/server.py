"""aiohttp's server, kept small: one answer a connection, few connections, each with an end.

No request can outlast its connection's time: half-sent heads, unread answers and bodies that never
come end in the same way, the connection is cut. Closing waits `GRACE` twice at most for answers
under way and then cuts what is left. There is no access log, and neither an answer nor a refusal
of aiohttp's own says what software answers in which version.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Final, cast

import structlog
from aiohttp import web

from .. import clock
from ..errors import ConfigError, one_line
from .answer import METHODS, Answer, Answers

LIFETIME: Final = 10.0
MOST_CONNECTIONS: Final = 64
GRACE: Final = 0.4

log = structlog.get_logger()

_SILENT = logging.getLogger(f"{__name__}.access")
_SILENT.disabled = True
_HEADERS = {
    "Server": "s3rs",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Allow": ", ".join(METHODS),
}


class Connection(web.RequestHandler):
    """aiohttp's connection, with a bound on how many there are and on how long each lasts."""

    def __init__(self, server: web.Server, opened: set[asyncio.Transport]) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=_SILENT,
            max_line_size=2048,
            max_field_size=4096,
            max_headers=64,
            lingering_time=1.0,
            auto_decompress=False,
        )
        self._opened = opened
        self._release: Callable[[], None] = _nothing

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless there are too many."""
        ours = cast("asyncio.Transport", transport)
        if len(self._opened) >= MOST_CONNECTIONS:
            ours.abort()
            return
        self._opened.add(ours)
        end = asyncio.get_running_loop().call_later(LIFETIME, ours.abort)

        def release() -> None:
            end.cancel()
            self._opened.discard(ours)

        self._release = release
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End, and make room."""
        self._release()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it repeats what was sent
    ) -> web.StreamResponse:
        """Answer what is no request, or what we could not answer; only the latter is our fault."""
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return _response(Answer(status, b"not a request that is understood here\n"))
        log.error("internal error, please report it", path=request.path, exc_info=exc)
        return _response(Answer(status, b"internal error, see the log\n"))


@asynccontextmanager
async def listening(host: str, port: int, answers: Answers) -> AsyncIterator[str]:
    """Answer at host and port while inside; the address that was bound."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        accept = request.headers.get("Accept", "")
        return _response(await answers.answer(request.method, request.path, accept))

    opened: set[asyncio.Transport] = set()
    server = web.Server(handle, handler_cancellation=True)
    listener = await _bound(host, port, partial(Connection, server, opened))
    try:
        yield _address(listener)
    finally:
        listener.close()
        try:
            server.pre_shutdown()
            await server.shutdown(GRACE)
        finally:
            for transport in list(opened):
                transport.abort()
        await clock.sleep(0)  # the loop tells each connection of its end


async def _bound(host: str, port: int, accept: Callable[[], Connection]) -> asyncio.Server:
    try:
        return await asyncio.get_running_loop().create_server(accept, host, port)
    except (OSError, UnicodeError) as error:  # taken, not ours, unknown, not a name at all
        raise ConfigError(
            "cannot listen",
            listen=f"{host}:{port}",
            where="config",
            reason=_reason(error),
            hint="give --listen a free port of this machine, or off; is another daemon running?",
        ) from error


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()  # the loop's own text repeats the address
    return one_line(str(error))


def _address(listener: asyncio.Server) -> str:
    host, port, *_ = listener.sockets[0].getsockname()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _response(answer: Answer) -> web.Response:
    headers = {**_HEADERS, "Content-Type": answer.content_type}
    response = web.Response(status=answer.status, body=answer.body, headers=headers)
    response.force_close()
    return response


def _nothing() -> None:
    """A connection that was refused holds nothing."""
