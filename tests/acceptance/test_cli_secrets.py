"""A bug keeps its traceback, and even that has no secret in it.

All other commands are looked through where they run: `Cli` does it for whatever it ends, and for
every object that a test leaves in the bucket.
"""

from __future__ import annotations

import subprocess
import sys

from tests.acceptance.cli import Cli, cli, forms, make_notes

__all__ = ["cli"]

CRASH = """
import sys
from s3rs_async import cli, {module} as module

async def crash(*args, **kwargs):
    config = args[0]
    password = "local " + str(args)
    raise RuntimeError("a bug of ours")

module.{name} = crash
sys.exit(cli.run(["sync", "-t", {table!r}, "--json-output", *{more!r}]))
"""


def crashed(cli: Cli, module: str, name: str, *more: str) -> subprocess.CompletedProcess[str]:
    code = CRASH.format(module=module, name=name, table=f"{cli.database}.notes", more=more)
    env = {**cli.environment, "S3RS_CONFIG": str(cli.config())}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=False,
        env=env,
        text=True,
        timeout=60,
    )
    cli.keeps_secrets(done.stdout + done.stderr)
    return done


def test_a_bug_has_its_traceback_and_no_secret(cli: Cli) -> None:
    make_notes(cli)
    in_table = crashed(cli, "pipeline", "sync_table")
    assert in_table.returncode == 1
    assert "Traceback" in in_table.stderr
    assert "RuntimeError: a bug of ours" in in_table.stderr
    assert "Error: internal error (kind=RuntimeError" in in_table.stderr
    assert '"error_kind": "RuntimeError"' in in_table.stdout

    outside = crashed(cli, "service", "ensure_conditions", "--quiet")
    assert outside.returncode == 1
    assert "Traceback" in outside.stderr


def test_a_secret_is_found_in_every_form() -> None:
    secret = "p@ss/w%rd+1"
    found = forms(secret)
    assert {"p@ss/w%rd+1", "p%40ss%2Fw%25rd%2B1"} <= found
    import base64

    for before in ("", "u", "us", "user:"):
        text = base64.b64encode(f"{before}{secret} and more".encode()).decode()
        assert any(form in text for form in found), before
