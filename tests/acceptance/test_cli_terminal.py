"""On a terminal progress is drawn while rows move, and the terminal is left as it was found."""

from __future__ import annotations

import os
import pty
import re
import threading
import time

from tests.acceptance.cli import Asked, Cli, Relay, cli, make_notes

__all__ = ["cli"]

HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"
STEERING = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def test_stage_and_rows_are_drawn_and_the_cursor_comes_back(cli: Cli) -> None:
    make_notes(cli, rows=5)
    held: list[str] = []

    def see(asked: Asked) -> None:
        if "/data/" in asked.path and asked.path.endswith("batch.json") and not held:
            held.append(asked.path)
            time.sleep(1.0)

    near, far = pty.openpty()
    drawn: list[bytes] = []
    watching = threading.Thread(target=_watch, args=(near, drawn))
    watching.start()
    with Relay(cli.box.s3.url, see) as relay:
        overrides = {"s3.endpoint": relay.url}
        env = {"TERM": "xterm-256color", "COLUMNS": "140", "LINES": "30"}
        args = ("sync", "-t", f"{cli.database}.notes")
        process = cli.start(*args, overrides=overrides, env=env, stderr=far)
        os.close(far)
        ended = cli.ended(process)
    watching.join(10)
    os.close(near)
    text = b"".join(drawn).decode(errors="replace")
    cli.keeps_secrets(text)
    assert ended.code == 0, text
    assert held
    plain = STEERING.sub("", text)
    assert f"{cli.database}.notes" in plain
    assert re.search(r"notes commit .* 5/", plain), plain
    assert HIDDEN in text
    assert text.rindex(SHOWN) > text.rindex(HIDDEN)
    assert '{"table"' not in text, "logs for a person are not JSON"
    assert "success: 5 rows read, 5 loaded" in ended.out


def _watch(terminal: int, drawn: list[bytes]) -> None:
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            return
        if not data:
            return
        drawn.append(data)
