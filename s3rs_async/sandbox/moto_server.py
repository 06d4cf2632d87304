"""moto on a socket that is handed over: `python -m s3rs_async.sandbox.moto_server`.

Standard input is a listening socket, as inetd would give it. So its port is known, and nobody
else's, before moto has imported itself: whoever needs only the address need not wait, and early
requests wait in the socket's queue.
"""

from __future__ import annotations

import os
import socket

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server


def main() -> None:
    """Serve until killed."""
    with socket.socket(fileno=os.dup(0)) as listening:
        port = int(listening.getsockname()[1])
    os.environ["MOTO_PORT"] = str(port)  # moto writes it into some of its answers
    make_server(
        "127.0.0.1",
        port,
        DomainDispatcherApplication(create_backend_app),
        threaded=True,
        request_handler=MotoRequestHandler,
        fd=0,
    ).serve_forever()


if __name__ == "__main__":
    main()
