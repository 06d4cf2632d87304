"""The report says what callers parse; its word and exit code follow from the tables."""

from __future__ import annotations

import asyncio

import pytest

from s3rs_async.errors import ConfigError, DataError, ExitCode, UnavailableError
from s3rs_async.report import Meter, Outcome, RunReport, TableReport


def table(name: str, error: BaseException | None = None) -> TableReport:
    outcome = Outcome.FAILED if error else Outcome.SUCCESS
    return TableReport(name, f"dw.{name}", outcome, Meter(rows_read=3), 1.5, "T", error, 3)


def run(*tables: TableReport) -> RunReport:
    return RunReport("sync_x", "adhoc.a.b", "S", "E", 2.0, tables)


@pytest.mark.parametrize(
    ("errors", "outcome", "code"),
    [
        ([None, None], Outcome.SUCCESS, ExitCode.OK),
        ([None, DataError("x")], Outcome.PARTIAL, ExitCode.PARTIAL),
        ([DataError("x"), DataError("y")], Outcome.FAILED, ExitCode.DATA),
        ([ConfigError("x"), UnavailableError("y")], Outcome.FAILED, ExitCode.PARTIAL),
        ([ZeroDivisionError("bug")], Outcome.FAILED, ExitCode.INTERNAL),
    ],
)
def test_one_word_and_one_code(
    errors: list[BaseException | None], outcome: Outcome, code: ExitCode
) -> None:
    report = run(*(table(f"s.t{i}", error) for i, error in enumerate(errors)))

    assert (report.outcome, report.exit_code) == (outcome, code)


def test_the_documents_shape() -> None:
    failed = table("s.b", DataError("bad value", hint="mend it", column="c"))
    document = run(table("s.a"), failed).as_json()

    assert document["summary"] == {
        "success_count": 1,
        "failure_count": 1,
        "total_rows_processed": 6,
        "total_files_created": 0,
    }
    results = document["table_results"]
    assert isinstance(results, dict)
    assert results["s.a"]["completed_at"] == "T"
    assert results["s.b"]["error_message"] == "bad value (column=c)"
    assert (results["s.b"]["hint"], results["s.b"]["failed_at"]) == ("mend it", "T")


async def test_a_meter_counts_seconds_by_stage_even_when_it_fails() -> None:
    meter = Meter()
    with meter.timed("extract"):
        await asyncio.sleep(2)
        assert meter.stage == "extract"
        assert meter.busy_seconds("extract") == pytest.approx(2)
    with pytest.raises(KeyError), meter.timed("extract"):
        await asyncio.sleep(3)
        raise KeyError

    assert meter.seconds == pytest.approx({"extract": 5})
    assert meter.stage == ""
