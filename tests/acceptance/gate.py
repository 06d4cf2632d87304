"""An S3 endpoint that lets every request through but one, which it holds as long as a test wants.

So a process is caught exactly between two of its steps, without a word of it in the program: held
before it is passed on, nothing has happened at the store; held before it is answered, it has. A
request that was held can be dropped, as when its sender died, or passed on late.
"""

from __future__ import annotations

import contextlib
import http.client
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PATIENCE = 90.0
_HOP = {"connection", "transfer-encoding", "content-length", "date", "server"}


@dataclass(frozen=True)
class Request:
    """A request as it came in; the path is decoded, its query is not."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


@dataclass(eq=False)
class Hold:
    """The first request that is `wanted` is held; `answered`: after the store has done it."""

    wanted: Callable[[Request], bool]
    answered: bool = False
    request: Request | None = None
    status: int | None = None
    _met: threading.Event = field(default_factory=threading.Event)
    _free: threading.Event = field(default_factory=threading.Event)
    _ended: threading.Event = field(default_factory=threading.Event)
    _passes: bool = False

    @property
    def reached(self) -> bool:
        """Whether the request stands at the gate."""
        return self._met.is_set()

    def pass_on(self) -> int | None:
        """Let it through after all; the status of the store's answer."""
        self._passes = True
        self._free.set()
        assert self._ended.wait(_PATIENCE)
        return self.status

    def drop(self) -> None:
        """Forget it; its sender hears nothing."""
        self._free.set()

    def stand(self) -> bool:
        """In the request's own thread: wait; whether it may go on."""
        self._met.set()
        self._free.wait(_PATIENCE)
        return self._passes

    def over(self, status: int | None) -> None:
        """In the request's own thread: it has been dealt with."""
        self.status = status
        self._ended.set()


class Gate:
    """The endpoint; `with` it."""

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream).netloc
        self._lock = threading.Lock()
        self._holds: list[Hold] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.gate = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextlib.contextmanager
    def holding(
        self, wanted: Callable[[Request], bool], *, answered: bool = False
    ) -> Iterator[Hold]:
        """Hold the first such request until the block ends, if it was not let through before."""
        hold = Hold(wanted, answered)
        with self._lock:
            self._holds.append(hold)
        try:
            yield hold
        finally:
            with self._lock:
                if hold in self._holds:
                    self._holds.remove(hold)
            hold.drop()

    def catch(self, request: Request) -> Hold | None:
        """The hold that this request meets, which then waits for no other."""
        with self._lock:
            for hold in self._holds:
                if hold.wanted(request):
                    self._holds.remove(hold)
                    hold.request = request
                    return hold
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    gate: Gate

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients of these tests are killed: that their connections break is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""

    def handle_expect_100(self) -> bool:
        """Ask for the body now: our output is buffered."""
        goes = super().handle_expect_100()
        self.wfile.flush()
        return goes

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        parts = urlsplit(self.path)
        request = Request(
            self.command,
            unquote(parts.path),
            parts.query,
            dict(self.headers.items()),
            self.rfile.read(length),
        )
        hold = self.server.gate.catch(request)
        goes = hold is None or hold.answered or hold.stand()
        answer = self._asked(request) if goes else None
        if hold is not None and hold.answered:
            goes = hold.stand()
        if hold is not None:
            hold.over(answer[0] if answer else None)
        if answer is not None and goes:
            self._answer(*answer)
        else:
            self.close_connection = True

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve  # noqa: N815 - names of the library

    def _asked(self, request: Request) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = http.client.HTTPConnection(self.server.gate.upstream, timeout=_PATIENCE)
        headers = {k: v for k, v in request.headers.items() if k.lower() != "expect"}
        try:
            upstream.request(request.method, self.path, request.body or None, headers)
            answer = upstream.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            upstream.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _HOP or (name.lower() == "content-length" and not body):
                self.send_header(name, value)
        if body:
            self.send_header("Content-Length", str(len(body)))
        elif not any(name.lower() == "content-length" for name, _ in headers):
            self.send_header("Content-Length", "0")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
