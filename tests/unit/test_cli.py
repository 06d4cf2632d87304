from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
import pytest

from s3rs_async.cli import run
from s3rs_async.cli.options import Duration, Size
from s3rs_async.cli.output import say_table
from s3rs_async.cli.sync import _tell_report
from s3rs_async.errors import ConfigError, DataError, ExitCode
from s3rs_async.report import Meter, Outcome, RunReport, TableReport

if TYPE_CHECKING:
    from pathlib import Path


def report(*errors: BaseException | None) -> RunReport:
    tables = [
        TableReport(
            table=f"shop.t{number}",
            target=f"dwh.shop.t{number}",
            outcome=Outcome.FAILED if error else Outcome.SUCCESS,
            meter=Meter(rows_read=1234, rows_loaded=1234, batches=1, files=2),
            seconds=1.25,
            ended_at="2026-01-01T00:00:01+00:00",
            error=error,
            target_rows=None if error else 5678,
        )
        for number, error in enumerate(errors)
    ]
    return RunReport("sync_1", "p", "a", "b", 2.0, tables)


def test_tables_that_are_done_go_to_stdout_and_failures_to_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _tell_report(report(None, DataError("too long", hint="cut it", column="c")), None)
    said = capsys.readouterr()
    assert said.out.startswith("shop.t0 -> dwh.shop.t0: success: 1,234 rows read, 1,234 loaded")
    assert "target holds 5,678" in said.out
    assert said.err == "Error: too long (column=c)\nHint: cut it\n"


def test_a_failure_that_tables_share_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    shared = ConfigError("no bucket", hint="make\none")
    _tell_report(report(shared, shared), None)
    assert capsys.readouterr().err == "Error: no bucket\nHint: make one\n"


def test_of_a_bug_only_its_kind_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    _tell_report(report(ValueError("password=hunter2")), None)
    said = capsys.readouterr().err
    assert "internal error (kind=ValueError, table=shop.t0)" in said
    assert "hunter2" not in said


def test_json_on_stdout_is_alone_there(capsys: pytest.CaptureFixture[str]) -> None:
    _tell_report(report(None), "-")
    assert json.loads(capsys.readouterr().out)["status"] == "success"


def test_json_in_a_file_leaves_the_lines_on_stdout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _tell_report(report(None), str(tmp_path / "r.json"))
    assert json.loads((tmp_path / "r.json").read_text())["total_tables"] == 1
    assert "shop.t0" in capsys.readouterr().out


def test_a_report_that_cannot_be_written_is_an_error_after_the_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match="can't be written"):
        _tell_report(report(None), str(tmp_path))
    assert "shop.t0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["--version"], ExitCode.OK),
        (["sync", "--help"], ExitCode.OK),
        ([], ExitCode.USAGE),
        (["sync", "--nope"], ExitCode.USAGE),
        (["nope"], ExitCode.USAGE),
        (["sync"], ExitCode.USAGE),
        (["sync", "-p", "x", "--source", "y"], ExitCode.USAGE),
        (["daemon", "--drain", "5"], ExitCode.USAGE),
        (["daemon", "--max-memory", "lots"], ExitCode.USAGE),
        (["watermark"], ExitCode.USAGE),
        (["config"], ExitCode.USAGE),
    ],
)
def test_a_call_has_its_exit_code(
    argv: list[str], code: ExitCode, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(argv) == code
    assert bool(capsys.readouterr().err) is bool(code)


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("512MiB", 512 << 20), ("1GiB", 1 << 30), ("2g", 2 * 10**9), ("7 kB", 7000)],
)
def test_a_size_is_bytes(text: str, size: int) -> None:
    assert Size()(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "-1", "0", "1.5GiB", "1TiB", "1e9", "²"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="not a size such as 512MiB"):
        Size()(text)


@pytest.mark.parametrize(("text", "seconds"), [("0s", 0), ("90s", 90), ("1h30m", 5400)])
def test_a_duration_is_seconds(text: str, seconds: float) -> None:
    assert Duration()(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "-5s", "soon", "5 parsecs"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="not a duration such as"):
        Duration()(text)


def test_a_table_has_columns_of_one_width(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"a_b": 1234567, "c": None}, {"a_b": "x\ny", "c": "z"}]
    say_table(["a_b", "c"], rows)
    assert capsys.readouterr().out == "a b        c\n1,234,567  -\nx y        z\n"
