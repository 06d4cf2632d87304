from __future__ import annotations

import pytest

from s3rs_async.errors import (
    ConfigError,
    ConflictError,
    DataError,
    Error,
    ExitCode,
    FencedError,
    SchemaDriftError,
    UnavailableError,
    UnknownOutcomeError,
    exit_code,
    one_line,
)

KINDS = {
    Error: ExitCode.INTERNAL,
    ConfigError: ExitCode.USAGE,
    DataError: ExitCode.DATA,
    SchemaDriftError: ExitCode.DATA,
    UnavailableError: ExitCode.UNAVAILABLE,
    UnknownOutcomeError: ExitCode.UNAVAILABLE,
    ConflictError: ExitCode.CONFLICT,
    FencedError: ExitCode.CONFLICT,
}


@pytest.mark.parametrize(("kind", "code"), KINDS.items())
def test_the_kind_decides_the_exit_code_and_every_kind_has_a_hint(
    kind: type[Error], code: ExitCode
) -> None:
    assert kind("it failed").exit_code is code
    assert kind("it failed").hint
    assert kind("it failed", hint="mend it").hint == "mend it"


def test_facts_follow_the_message_and_absent_ones_are_left_out() -> None:
    error = DataError("a text is too long", table="a.b", column=None, rows=3)
    assert str(error) == "a text is too long (table=a.b, rows=3)"
    assert str(DataError("a text is too long", column=None)) == "a text is too long"


def test_what_a_server_said_stays_one_line_and_cannot_steer_the_terminal() -> None:
    error = Error("refused", said="one\ntwo\r\n\tthree \x1b[31mred\x07\u2028end")
    assert str(error) == "refused (said=one two three [31mred end)"
    assert one_line("  É ok \u20ac ") == "É ok \u20ac"


@pytest.mark.parametrize(
    ("failures", "done", "code"),
    [
        ([], 0, ExitCode.OK),
        ([], 3, ExitCode.OK),
        ([DataError("x")], 0, ExitCode.DATA),
        ([DataError("x"), SchemaDriftError("y")], 0, ExitCode.DATA),
        ([DataError("x"), ConfigError("y")], 0, ExitCode.PARTIAL),
        ([DataError("x")], 1, ExitCode.PARTIAL),
        ([ValueError("a bug")], 0, ExitCode.INTERNAL),
        ([ValueError("a bug"), ConfigError("y")], 0, ExitCode.PARTIAL),
    ],
)
def test_a_run_has_the_code_of_its_only_kind_of_failure_else_partial(
    failures: list[BaseException], done: int, code: ExitCode
) -> None:
    assert exit_code(failures, done=done) is code
