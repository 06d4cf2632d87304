"""Servers of both families as tests get them: whom they let in, and what is told of one missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pymysql
import pytest

from tests.servers import debian

if TYPE_CHECKING:
    from s3rs_async.sandbox.mariadb import MySQL

COUNTING = """#!/bin/sh
echo "$@" >> {calls}
echo "E: the archive is not there" >&2
exit 100
"""


@pytest.mark.parametrize("user", ["root", "s3rs", "", "mysql.sys"])
def test_nobody_comes_in_without_a_password(server: MySQL, user: str) -> None:
    with pytest.raises(pymysql.OperationalError, match=r"1045|1130|4151"):
        pymysql.connect(host=server.host, port=server.port, user=user, password="")


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An apt that finds no archive, and the file in which its calls are."""
    calls = tmp_path / "calls"
    for name in ("apt-get", "apt-cache", "dpkg"):
        tool = tmp_path / "bin" / name
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(COUNTING.format(calls=calls))
        tool.chmod(0o755)
    keys = tmp_path / "keys"
    keys.touch()
    monkeypatch.setattr(debian, "_KEYS", keys)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin", prepend=":")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return calls


def test_a_server_that_cannot_be_fetched_leaves_the_reason_and_nothing_else(calls: Path) -> None:
    for call in (debian.fetch, debian.unpacked):
        with pytest.raises(debian.NotHadError, match=r"apt-get -qq.*archive is not there"):
            call()
    assert calls.read_text() == "-qq update\n"
    (left,) = debian.folder().parent.iterdir()
    assert left.name == "mysql-server.reason"


def test_who_has_little_time_does_not_try_again_for_a_day(calls: Path) -> None:
    for within in (60.0, 60.0, 600.0):
        with pytest.raises(debian.NotHadError):
            debian.fetch(within)
    assert calls.read_text().count("update") == 2


def test_where_there_is_no_apt_that_is_the_reason(
    calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(debian.NotHadError, match="no apt-get, apt-cache, dpkg here"):
        debian.fetch()
