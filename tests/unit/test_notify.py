"""systemd hears what it should, and its absence stops nothing."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from s3rs_async.notify import notify, watchdog_seconds


@pytest.fixture(autouse=True)
def _no_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def systemd() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.settimeout(2)
        yield listener


def test_words_arrive_as_one_datagram_of_lines(
    systemd: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "notify")
    systemd.bind(path)
    monkeypatch.setenv("NOTIFY_SOCKET", path)

    notify("READY=1", "STATUS=3 tables wait")

    assert systemd.recv(4096) == b"READY=1\nSTATUS=3 tables wait"


@pytest.mark.skipif(not Path("/proc/net/unix").exists(), reason="abstract names are Linux'")
def test_an_abstract_name_is_understood(
    systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"s3rs-{secrets.token_hex(8)}"
    systemd.bind(f"\0{name}")
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")

    notify("WATCHDOG=1")

    assert systemd.recv(4096) == b"WATCHDOG=1"


def test_a_status_cannot_smuggle_a_word_in(
    systemd: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "notify")
    systemd.bind(path)
    monkeypatch.setenv("NOTIFY_SOCKET", path)

    notify("STATUS=table a\nSTOPPING=1 \udc80")

    assert systemd.recv(4096) == b"STATUS=table a STOPPING=1"


def test_without_systemd_nothing_is_sent_or_said() -> None:
    with structlog.testing.capture_logs() as told:
        notify("READY=1")

    assert told == []


def test_a_deaf_systemd_is_told_once_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = str(tmp_path / "gone")
    monkeypatch.setenv("NOTIFY_SOCKET", gone)

    with structlog.testing.capture_logs() as told:
        notify("READY=1")
        notify("WATCHDOG=1")

    assert [(line["log_level"], line["socket"]) for line in told] == [("warning", gone)]


@pytest.mark.parametrize("address", ["/" + "x" * 200, "relative", "vsock:2:1234"])
def test_an_address_that_cannot_be_stops_nothing(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)

    notify("READY=1")


def test_a_full_queue_never_makes_us_wait(
    systemd: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "notify")
    systemd.bind(path)
    monkeypatch.setenv("NOTIFY_SOCKET", path)

    with structlog.testing.capture_logs() as told:
        for _ in range(5000):
            notify("WATCHDOG=1")

    assert len(told) == 1


@pytest.mark.parametrize(
    ("patience", "whose", "every"),
    [
        ("60000000", None, 30.0),
        ("60000000", "ours", 30.0),
        ("60000000", "1", None),
        ("0", None, None),
        ("soon", None, None),
        (None, None, None),
    ],
)
def test_the_watchdog_is_fed_at_half_its_patience(
    patience: str | None, whose: str | None, every: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if patience is not None:
        monkeypatch.setenv("WATCHDOG_USEC", patience)
    if whose is not None:
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if whose == "ours" else whose)

    assert watchdog_seconds() == every
