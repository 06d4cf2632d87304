"""A daemon with nothing to do: memory, CPU, and what one pass over an idle table asks of its ends.

    ./dev bench daemon [--tables 200] [--every 60] [--seconds 180]

Every table is loaded first; then, while nothing changes, the daemon is watched for `seconds`. What
MySQL is asked is counted by the server's own log of statements, what S3 is asked by its server's
log, and Redshift is not there at all: its stand-in is halted, so a pass that asked it would fail.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pymysql
import yaml
from prometheus_client.parser import text_string_to_metric_families

from s3rs_async import clock
from s3rs_async.sandbox import Box, Sandbox

DATABASE = "idle"
LISTEN = "127.0.0.1:18480"
PAGE = os.sysconf("SC_PAGE_SIZE")
TICK = os.sysconf("SC_CLK_TCK")
SHAPE = (
    "(id BIGINT PRIMARY KEY AUTO_INCREMENT, word VARCHAR(40), amount DECIMAL(12,2),"
    " changed TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),"
    " KEY (changed))"
)


async def main(tables: int, every: int, seconds: int) -> None:
    sandbox = Sandbox()
    async with sandbox as box:
        names = [f"t{number:04d}" for number in range(tables)]
        fill(box, names)
        config = written(box, names, every)
        log = box.folder / "daemon.log"
        with log.open("wb") as output:
            daemon = sandbox.den.fork(
                [sys.executable, "-m", "s3rs_async", "daemon", "--listen", LISTEN, "-q"],
                signal.SIGKILL,
                env={**os.environ, **box.environment, "S3RS_CONFIG": str(config)},
                stdout=output,
                stderr=output,
            )
        try:
            await loaded(daemon, tables, log)
            await sandbox.halt("redshift")
            await idle(box, daemon, seconds)
        finally:
            daemon.terminate()
            sys.stderr.write(log.read_text()[-2000:])
        print(f"SIGTERM: exit {daemon.wait(timeout=90)}")


def fill(box: Box, names: list[str]) -> None:
    """Tables of ten rows, old enough not to be read a second time."""
    with connected(box) as cursor:
        cursor.execute(f"CREATE DATABASE {DATABASE}")
        cursor.execute(f"USE {DATABASE}")
        for name in names:
            cursor.execute(f"CREATE TABLE {DATABASE}.{name} {SHAPE}")
            cursor.execute(
                f"INSERT INTO {DATABASE}.{name} (word, amount, changed) SELECT seq, seq,"
                " NOW(6) - INTERVAL 5 MINUTE FROM seq_1_to_10"
            )


def connected(box: Box) -> pymysql.cursors.Cursor:
    server = box.mysql
    return pymysql.connect(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password,
        autocommit=True,
    ).cursor()


def written(box: Box, names: list[str], every: int) -> Path:
    folder = box.folder / "bench"
    (folder / "pipelines").mkdir(parents=True)
    (folder / "connections.yml").write_text(yaml.safe_dump(box.connections))
    pipeline = {
        "source": "mysql",
        "target": "standin",
        "defaults": {"every": f"{every}s"},
        "tables": {f"{DATABASE}.{name}": {} for name in names},
    }
    (folder / "pipelines" / "idle.yml").write_text(yaml.safe_dump(pipeline))
    return folder


def figures() -> dict[str, float]:
    """The sum of each metric over its series."""
    with urllib.request.urlopen(f"http://{LISTEN}/metrics", timeout=30) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        sums: collections.Counter[str] = collections.Counter()
        for family in families:
            for sample in family.samples:
                wanted = sample.labels.get("outcome") in {None, "success"}
                sums[sample.name] += sample.value if wanted else 0
        return dict(sums)


async def loaded(daemon: subprocess.Popen[bytes], tables: int, log: Path) -> None:
    """Until every table has had two passes: the second finds it idle and keeps its plan."""
    since = clock.seconds()
    while True:
        await asyncio.sleep(2)
        if daemon.poll() is not None:
            raise SystemExit(await asyncio.to_thread(log.read_text))
        try:
            passes = (await asyncio.to_thread(figures)).get("s3rs_passes_total", 0)
        except OSError:
            continue
        if passes >= 2 * tables:
            print(f"{tables} tables loaded and idle after {clock.seconds() - since:.0f} s")
            return


async def idle(box: Box, daemon: subprocess.Popen[bytes], seconds: int) -> None:
    """Watch it do nothing, and tell what that costs."""
    (log,) = box.folder.glob("log/moto-*.log")
    with connected(box) as cursor:
        cursor.execute("SET GLOBAL log_output = 'TABLE', GLOBAL general_log = ON")
        before, asked = await asyncio.to_thread(figures), log.stat().st_size
        cpu, peak, since = cpu_of(daemon.pid), 0, clock.seconds()
        while clock.seconds() - since < seconds:
            await asyncio.sleep(1)
            peak = max(peak, rss_of(daemon.pid))
        cpu, spent = cpu_of(daemon.pid) - cpu, clock.seconds() - since
        after = await asyncio.to_thread(figures)
        cursor.execute("SET GLOBAL general_log = OFF")
        cursor.execute(
            "SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log"
            " WHERE command_type = 'Query' AND argument NOT LIKE 'SET GLOBAL%'"
        )
        watch, own = counted([text for (text,) in cursor.fetchall()])
    passes = after["s3rs_passes_total"] - before["s3rs_passes_total"]
    errors = after.get("s3rs_errors_total", 0) - before.get("s3rs_errors_total", 0)
    requests = collections.Counter(
        re.findall(r'"(GET|PUT|POST|HEAD|DELETE) ', log.read_bytes()[asked:].decode())
    )
    print(f"{passes:.0f} idle passes in {spent:.0f} s, {errors:.0f} errors, Redshift halted")
    print(f"RSS {peak / 2**20:.0f} MiB at most   CPU {100 * cpu / spent:.2f} % of a core")
    print(f"MySQL: {own / passes:.2f} queries a pass, {watch / spent:.2f} a second for the watch")
    print(f"S3: {' '.join(f'{verb} {n / passes:.2f}' for verb, n in requests.items())} a pass")


def counted(statements: list[str]) -> tuple[int, int]:
    """How many of the daemon's queries are its watch's, and how many its passes'."""
    own = [text for text in statements if f"{DATABASE}" in text]
    return len(statements) - len(own), len(own)


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def rss_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=200)
    parser.add_argument("--every", type=int, default=60)
    parser.add_argument("--seconds", type=int, default=180)
    given = parser.parse_args()
    asyncio.run(main(given.tables, given.every, given.seconds))
