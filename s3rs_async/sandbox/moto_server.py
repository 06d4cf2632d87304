"""moto on a socket that is handed over: `python -m s3rs_async.sandbox.moto_server`.

Standard input is a listening socket, as inetd would give it. So its port is known, and nobody
else's, before moto has imported itself: whoever needs only the address need not wait, and early
requests wait in the socket's queue.

moto looks at a condition and then writes, in as many threads as there are requests: of two writers
under one ETag both may win, once in thousands of times. So conditional writes go one by one here,
each with its body read before, lest one that is slow to arrive holds up the others.
"""

from __future__ import annotations

import io
import os
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

_CONDITIONS = {"HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH"}

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


def one_by_one(app: Application) -> Application:
    """The application, with its conditional writes in turn."""
    turn = threading.Lock()

    def serve(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401 - WSGI's
        if environ["REQUEST_METHOD"] != "PUT" or not _CONDITIONS & environ.keys():
            return app(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        with turn:
            return app({**environ, "wsgi.input": io.BytesIO(body)}, start_response)

    return serve


def main() -> None:
    """Serve until killed."""
    with socket.socket(fileno=os.dup(0)) as listening:
        port = int(listening.getsockname()[1])
    os.environ["MOTO_PORT"] = str(port)  # moto writes it into some of its answers
    make_server(
        "127.0.0.1",
        port,
        one_by_one(DomainDispatcherApplication(create_backend_app)),
        threaded=True,
        request_handler=MotoRequestHandler,
        fd=0,
    ).serve_forever()


if __name__ == "__main__":
    main()
