from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog

from s3rs_async import log

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_a_line_is_json_where_nobody_watches_and_hides_what_sounds_like_a_secret(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.set_up()
    structlog.get_logger().info("done", rows=3, Password="x1", aws_secret_access_key="x2")
    line = json.loads(capsys.readouterr().err)
    assert line["event"] == "done"
    assert line["rows"] == 3
    assert (line["Password"], line["aws_secret_access_key"]) == ("***", "***")
    assert line["at"].endswith("Z")


def test_quiet_leaves_only_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up(quiet=True)
    structlog.get_logger().info("not this")
    structlog.get_logger().warning("but this")
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == [
        "but this"
    ]


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_has_no_locals(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    log.set_up(json=as_json)

    def fails() -> None:
        local_secret = "in a {}".format("local")
        raise RuntimeError(f"{len(local_secret)}")

    try:
        fails()
    except RuntimeError:
        structlog.get_logger().exception("internal error")
    said = capsys.readouterr().err
    assert "RuntimeError: 10" in said
    assert "in a local" not in said


def test_what_cannot_be_written_is_dropped_and_so_is_the_rest() -> None:
    with Path("/dev/full").open("w") as full:
        error = log.put(full, "first\n")
        assert error is not None
        assert error.strerror == "No space left on device"
        assert log.put(full, "second\n") is None
    assert log.put(io.StringIO(), "fine\n") is None


def test_a_full_stderr_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        log.set_up()
        structlog.get_logger().warning("nobody hears this")
        structlog.get_logger().warning("nor this")
