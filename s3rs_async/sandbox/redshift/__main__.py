"""The stand-in as a process: `ready PORT` on stdout once it accepts connections.

Secrets come from the environment (S3RS_STANDIN_PASSWORD, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY),
never from the arguments, which every user of a machine can read. SIGTERM and SIGINT end it.

`--iam-role` names a role that is associated with the cluster, again and again for more; COPY takes
no other, and the first is its default.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import ssl
import sys
from pathlib import Path

from .copying.credentials import StoreAccess
from .server import Wiring, open_front
from .wire import Login


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m s3rs_async.sandbox.redshift")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--pg-socket", type=Path, required=True, help="folder of the socket")
    parser.add_argument("--s3-endpoint", required=True)
    parser.add_argument("--user", required=True)
    parser.add_argument("--database", default="dev")
    parser.add_argument("--auth", choices=("md5", "cleartext"), default="md5")
    parser.add_argument("--iam-role", action="append", default=[], help="COPY may take it")
    parser.add_argument("--tls-cert", type=Path)
    parser.add_argument("--tls-key", type=Path)
    return parser.parse_args()


def _secret(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        message = f"the environment must hold {name}"
        raise SystemExit(message)
    return value


def _wiring(given: argparse.Namespace) -> Wiring:
    tls = None
    if given.tls_cert:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(given.tls_cert, given.tls_key)
    password = _secret("S3RS_STANDIN_PASSWORD")
    region = os.environ.get("AWS_REGION", "us-east-1")
    key_id, secret = _secret("AWS_ACCESS_KEY_ID"), _secret("AWS_SECRET_ACCESS_KEY")
    login = Login(given.user, given.database, password, given.auth, tls)
    roles, token = tuple(given.iam_role), os.environ.get("AWS_SESSION_TOKEN", "")
    access = StoreAccess(given.s3_endpoint, region, key_id, secret, roles, token)
    return Wiring(given.pg_socket, login, access, given.port)


async def _serve(wiring: Wiring) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with open_front(wiring) as port:
        sys.stdout.write(f"ready {port}\n")
        sys.stdout.flush()
        await ended.wait()


def main() -> None:
    """Serve until told to end."""
    sys.setswitchinterval(0.0005)  # the loop gets its turn while a thread decodes
    asyncio.run(_serve(_wiring(_arguments())))


if __name__ == "__main__":
    main()
