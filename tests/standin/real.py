"""The real cluster that the environment names, what is asked of it, and the report of its answers.

The checks are those of the stand-in, less what says that it can run only here; those of assumptions
go first, for only a real cluster can settle them. Probes come after: questions that have no rule
yet, answered by what was seen, without a verdict.

Whatever a cluster says is scrubbed before it is told: the environment's own secrets and names are
replaced by what they are. Each check has a schema and a folder of its own, removed at its end.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import boto3
from botocore.config import Config

from s3rs_async.sandbox.redshift.rules import RULES
from tests.standin.checks import Check
from tests.standin.site import Place

NEEDED = {
    "REAL_REDSHIFT_URL": "postgresql://user:password@host:5439/database",
    "REAL_REDSHIFT_S3": "s3://bucket/prefix",
    "REAL_REDSHIFT_ROLE": "the ARN of the role that COPY takes",
    "REAL_REDSHIFT_REGION": "the region of both",
}
KEPT = "REAL_"  # before the names of the caller's AWS variables, put by tests/conftest.py
PROPERTY = "real"
SECONDS = 300.0
_LONGEST = 300
_DELETED_AT_ONCE = 1000


def lacking(environment: Mapping[str, str]) -> list[str]:
    """The variables that are missing; all of them where no cluster is named."""
    if not environment.get("REAL_REDSHIFT_URL"):
        return list(NEEDED)
    return [name for name in NEEDED if not environment.get(name)]


@dataclass(frozen=True)
class Cluster:
    """A real cluster, its place, and what must not be told of them."""

    place: Place
    secrets: dict[str, str] = field(repr=False)

    def scrubbed(self, text: str) -> str:
        """A text without anything that is the caller's alone."""
        for secret, name in sorted(self.secrets.items(), key=lambda item: -len(item[0])):
            text = text.replace(secret, f"<{name}>") if secret else text
        return " ".join(text.split())[:_LONGEST]


@contextmanager
def open_cluster(environment: Mapping[str, str], run: str) -> Iterator[Cluster]:
    """The cluster that the environment names; what was stored for it goes at the end."""
    with _callers_aws(environment):
        session = boto3.Session(region_name=environment["REAL_REDSHIFT_REGION"])
        client = _client(session, environment.get("REAL_REDSHIFT_S3_ENDPOINT"))
        store = urlsplit(environment["REAL_REDSHIFT_S3"])
        folder = "/".join(filter(None, [store.path.strip("/"), run]))
        login = _login(environment)
        place = Place(
            login,
            client,
            store.netloc,
            folder,
            environment["REAL_REDSHIFT_ROLE"],
            real=True,
            seconds=SECONDS,
        )
        try:
            yield Cluster(place, _secrets(place, session))
        finally:
            _swept(client, store.netloc, f"{folder}/")
            client.close()


@contextmanager
def _callers_aws(environment: Mapping[str, str]) -> Iterator[None]:
    """AWS's own variables as the caller had them, for as long as the block lasts."""
    names = [name for name in environment if name.startswith(f"{KEPT}AWS_")]
    theirs = {name.removeprefix(KEPT): environment[name] for name in names}
    before = {name: os.environ.get(name) for name in theirs}
    os.environ.update(theirs)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _client(session: Any, endpoint: str | None) -> Any:
    if endpoint is None:
        return session.client("s3")
    plain = Config(s3={"addressing_style": "path"}, proxies={})
    return session.client("s3", endpoint_url=endpoint, config=plain)


def _login(environment: Mapping[str, str]) -> dict[str, Any]:
    url = urlsplit(environment["REAL_REDSHIFT_URL"])
    return {
        "host": url.hostname,
        "port": url.port or 5439,
        "user": unquote(url.username or ""),
        "password": unquote(url.password or ""),
        "database": url.path.strip("/"),
        "ssl": _tls(parse_qs(url.query).get("sslmode", ["verify-full"])[0], environment),
    }


def _tls(mode: str, environment: Mapping[str, str]) -> Any:
    """TLS with everything verified; `sslmode` may ask for less, as a tunnel's near end needs."""
    if mode == "disable":
        return False
    context = ssl.create_default_context(cafile=environment.get("REAL_REDSHIFT_CA"))
    context.check_hostname = mode == "verify-full"
    context.verify_mode = ssl.CERT_NONE if mode == "require" else ssl.CERT_REQUIRED
    return context


def _secrets(place: Place, session: Any) -> dict[str, str]:
    found = {
        place.login["password"]: "password",
        place.login["host"]: "host",
        place.login["user"]: "user",
        place.role: "role",
        place.bucket: "bucket",
        place.folder: "folder",
    }
    if credentials := session.get_credentials():
        keys = credentials.get_frozen_credentials()
        found |= {keys.access_key: "key", keys.secret_key: "secret", keys.token or "": "token"}
    return found


def _swept(client: Any, bucket: str, prefix: str) -> None:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [{"Key": item["Key"]} for page in pages for item in page.get("Contents", [])]
    for start in range(0, len(keys), _DELETED_AT_ONCE):
        some = {"Objects": keys[start : start + _DELETED_AT_ONCE]}
        client.delete_objects(Bucket=bucket, Delete=some)


def asked(checks: Iterable[Check]) -> list[Check]:
    """What can run there, assumptions first."""
    there = [check for check in checks if not check.only_here]
    return sorted(there, key=lambda check: not RULES[check.rule].is_assumption)


def title(check: Check) -> str:
    """What a check is called there: `-k assumed` asks the assumptions alone."""
    return f"assumed-{check}" if RULES[check.rule].is_assumption else str(check)


@dataclass(frozen=True)
class Answer:
    """What the cluster said to a check or, where it has no rule, to a probe."""

    name: str
    seen: str
    rule: str = ""

    def written(self) -> str:
        """As it goes with a test's report, also from one process to another."""
        return json.dumps(asdict(self))


def read(properties: Iterable[Sequence[Any]]) -> list[Answer]:
    """The answers among the properties of tests."""
    return [Answer(**json.loads(value)) for name, value in properties if name == PROPERTY]


def report(answers: Sequence[Answer]) -> str:
    """What holds and what does not: assumptions one by one, of the others those that differ."""
    checked = [answer for answer in answers if answer.rule]
    by_rule = {rule: [a for a in checked if a.rule == rule] for rule in RULES}
    run = {rule: found for rule, found in by_rule.items() if found}
    assumed = [rule for rule in run if RULES[rule].is_assumption]
    others = [rule for rule in run if not RULES[rule].is_assumption]
    differ = [rule for rule in others if any(answer.seen for answer in run[rule])]
    unasked = [rule for rule in RULES if RULES[rule].is_assumption and rule not in run]
    lines = ["Assumptions:"]
    lines += [line for rule in assumed for line in _verdict(rule, run[rule])]
    lines += [f"  {rule}: not asked" for rule in unasked]
    lines += ["", f"Other rules: {len(others) - len(differ)} hold, {len(differ)} differ:"]
    lines += [line for rule in differ for line in _verdict(rule, run[rule])]
    lines += ["", "Probes:"]
    lines += [f"  {answer.name}: {answer.seen}" for answer in answers if not answer.rule]
    return "\n".join(lines)


def _verdict(rule: str, answers: list[Answer]) -> list[str]:
    against = [answer for answer in answers if answer.seen]
    said = "does not hold" if against else f"holds ({len(answers)} checks)"
    seen = [f"    {answer.name}: what was seen: {answer.seen}" for answer in against]
    return [f"  {rule}: {said}: {RULES[rule].text}", *seen]
