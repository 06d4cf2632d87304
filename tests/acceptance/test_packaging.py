"""What is handed out (image, unit), each by the tool that reads it.

No container is made here: the Dockerfile's own COPY and `uv sync` lines are carried out in a
folder, offline, from what uv keeps since it made the environment. The image itself is built and run
by CI's job of that name.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from s3rs_async import __version__
from s3rs_async.errors import ExitCode
from s3rs_async.s3.canary import cache_folder

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
UNIT = (ROOT / "config" / "systemd" / "s3rs.service").read_text(encoding="utf-8")
IGNORED = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
PROGRAM = "/opt/s3rs/bin/s3rs"
SYNCS = [
    shlex.split(line) for line in re.findall(r"^RUN \S+/uv (sync .*)$", DOCKERFILE, re.MULTILINE)
]
COPIES = [
    shlex.split(line) for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
]
TOO_FAR = ("network connectivity is disabled", "network was disabled")
"""uv's words when something it needs is not on this machine."""


def ran(
    *command: str | Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=100, env=env
    )


@cache
def uv() -> str:
    found = shutil.which("uv") or shutil.which("uv", path=ROOT / ".venv-uv" / "bin")
    if found is None:
        pytest.skip("uv is neither on PATH nor where ./dev puts it")
    return found


def settings(key: str) -> list[str]:
    """Every value that the unit gives a key."""
    return re.findall(rf"^{key}=(.*)$", UNIT, re.MULTILINE)


def seconds(text: str) -> int:
    found = re.fullmatch(r"(\d+)s", text)
    assert found, f"{text} is not in seconds"
    return int(found[1])


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment of the image, made as its Dockerfile says from nothing but what it copies."""
    source = tmp_path_factory.mktemp("image") / "src"
    for *names, target in COPIES:
        for name in names:
            assert f"!{name}" in IGNORED, f"{name} does not reach the build"
            place = source / target / name if target.endswith("/") else source / target
            place.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, place)
    made = source.parent / "s3rs"
    env = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(made), "UV_PYTHON": sys.executable}
    env.pop("VIRTUAL_ENV", None)
    for arguments in SYNCS:
        done = ran(uv(), *arguments, "--offline", "--project", source, env=env)
        if done.returncode != 0 and any(words in done.stderr.lower() for words in TOO_FAR):
            pytest.skip("uv would have to download: its cache does not have what the lock names")
        assert done.returncode == 0, done.stderr
    shutil.rmtree(source)  # as the image's last stage has it
    return made


def test_the_images_environment_runs_without_the_source(installed: Path) -> None:
    done = ran(installed / "bin" / "s3rs", "--version", env={"PATH": os.defpath})

    assert done.stdout == f"s3rs, version {__version__}\n", done.stderr


def test_every_file_of_the_package_is_installed(installed: Path) -> None:
    (package,) = installed.glob("lib/python*/site-packages/s3rs_async")

    def files(folder: Path) -> set[Path]:
        found = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
        return {path for path in found if "__pycache__" not in path.parts}

    assert Path("sandbox/redshift/sql/tables.sql") in files(package)
    assert files(package) == files(ROOT / "s3rs_async")
    assert [*package.parent.glob("s3rs_async-*.dist-info/licenses/LICENSE")]


def test_the_image_has_the_products_packages_and_no_others(installed: Path) -> None:
    (packages,) = installed.glob("lib/python*/site-packages")

    assert (packages / "pyarrow").exists()
    assert not [name for name in ("moto", "pytest", "mypy", "ruff") if (packages / name).exists()]


needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="only systemd-analyze knows systemd's keys"
)


def complaints(unit: str, folder: Path) -> list[str]:
    """What systemd says of a unit whose program is one that every machine has."""
    assert f"ExecStart={PROGRAM} " in unit
    file = folder / "s3rs.service"
    file.write_text(unit.replace(PROGRAM, f'"{sys.executable}"'), encoding="utf-8")
    done = ran("systemd-analyze", "verify", "--man=no", file)
    return [line for line in done.stderr.splitlines() if file.name in line]


@needs_systemd
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    assert complaints(UNIT, tmp_path) == []
    assert complaints(UNIT.replace("\nUMask=", "\nUmask="), tmp_path) != []


@needs_systemd
def test_the_unit_is_well_confined(tmp_path: Path) -> None:
    file = tmp_path / "s3rs.service"
    file.write_text(UNIT, encoding="utf-8")

    done = ran("systemd-analyze", "security", "--offline=true", "--threshold=15", file)
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze cannot judge a unit that is not loaded")

    assert done.returncode == 0, done.stdout.splitlines()[-1] + done.stderr


def test_what_no_restart_mends_is_not_restarted() -> None:
    (codes,) = settings("RestartPreventExitStatus")
    assert {int(code) for code in codes.split()} == {ExitCode.USAGE, ExitCode.DATA}


def test_systemd_waits_longer_than_the_daemon_drains() -> None:
    (command,) = settings("ExecStart")
    words = shlex.split(command)

    drain = seconds(words[words.index("--drain") + 1])

    assert seconds(settings("TimeoutStopSec")[0]) >= drain + 15


def test_the_self_tests_memory_is_kept_where_the_daemon_may_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    variables = dict(re.findall(r"(\w+)=(\S+)", " ".join(settings("Environment"))))
    monkeypatch.setenv("XDG_CACHE_HOME", variables["XDG_CACHE_HOME"].replace("%C", "/var/cache"))

    assert cache_folder() == Path("/var/cache", *settings("CacheDirectory"))
