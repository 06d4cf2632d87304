"""What must hold of a table's ledger in Redshift and of its state in S3, whatever has died.

The chain is whole: the first batch has no parent, each other one has the batch before it, numbers
go up by one, no batch is there twice, and the head is the last line. The head's row count is the
table's. Each line's `batch.json` lies in S3 under the digest that the ledger keeps. And the state
names the same last batch, nothing pending, the same counts and position.
"""

from __future__ import annotations

import hashlib
import json
import re
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from s3rs_async.model import TableName
from s3rs_async.s3.layout import Layout
from tests.acceptance.compare import redshift

if TYPE_CHECKING:
    from s3rs_async.sandbox import Box

    Json = dict[str, Any]

_TRIES = 4


@dataclass(frozen=True)
class Place:
    """Where a table's state and ledger are."""

    box: Box
    table: str
    source: str = "mysql"
    target: str = "standin"
    prefix: str = "s3rs"
    target_table: str = ""
    pipeline: str = ""

    @property
    def layout(self) -> Layout:
        """The keys of the table."""
        pipeline = self.pipeline or f"adhoc.{self.source}.{self.target}"
        return Layout(self.prefix, pipeline, self.source, TableName.parse(self.table))

    @property
    def feeds(self) -> str:
        """The target's table."""
        return self.target_table or self.table

    @property
    def ledger(self) -> str:
        """The ledger's name; the head's has `_head` behind it."""
        key = f"{self.box.redshift.database}.{self.feeds}".lower()
        return f"led_{hashlib.sha256(key.encode()).hexdigest()[:32]}"


@dataclass(frozen=True)
class Sight:
    """All that can be seen of a table from outside at one moment.

    `batches` are the attempts' folders in S3 with the names of their files, `uploads` the keys of
    open multipart uploads, `lines` the ledger's batches in order; `held` tells that a transaction
    holds the head's lock.
    """

    state: Json | None
    batches: dict[str, set[str]] = field(default_factory=dict)
    uploads: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    held: bool = False

    @property
    def last_batch(self) -> str:
        """The last batch that the state has committed."""
        return str(self.state["last_batch"]) if self.state else ""

    @property
    def pending(self) -> list[str]:
        """The batches that the state knows as not loaded."""
        return [str(each["batch"]) for each in self.state["pending"]] if self.state else []

    @property
    def epoch(self) -> int:
        """How often the table has been claimed."""
        return int(self.state["epoch"]) if self.state else 0


def look(place: Place) -> Sight:
    """See where a table is now."""
    batches: dict[str, set[str]] = {}
    for key in _keys(place, {"list-type": "2", "prefix": place.layout.data}):
        folder, _, name = key.rpartition("/")
        batches.setdefault(folder, set()).add(name)
    uploads = _keys(place, {"uploads": ""})
    lines = [line["batch_id"] for line in _lines(place)]
    held = bool(_holders(place))
    at_home = [key for key in uploads if key.startswith(place.layout.home)]
    return Sight(state(place), batches, at_home, lines, held)


def state(place: Place) -> Json | None:
    """The table's state in S3."""
    found = get(place, place.layout.state)
    return None if found is None else json.loads(found)


def get(place: Place, key: str) -> bytes | None:
    """An object's bytes."""
    try:
        return _asked(place, f"/{quote(key)}")
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 404:
                return None
            raise


def put(place: Place, key: str, body: bytes) -> None:
    """Write an object."""
    _asked(place, f"/{quote(key)}", body)


def position(place: Place) -> Json:
    """How far the table has been read."""
    found = state(place)
    assert found is not None, f"{place.table} has no state"
    at: Json = found["position"] or {}
    return at


def is_held(place: Place) -> bool:
    """Whether a transaction holds the lock of the ledger's head."""
    return bool(_holders(place))


def check(place: Place, *, why: str = "", drained: bool = False) -> int:
    """Assert all that must hold when nothing runs; the number of batches.

    Who drained may have left between a batch's commit and its load: then batches may be pending.
    """
    facts = (place.table, why)
    lines, now = _lines(place), state(place)
    assert now is not None, ("no state", facts)
    assert drained or now["pending"] == [], ("something is pending", facts, now["pending"])
    assert now["stop"] is None, ("stopped", facts)
    if not lines:
        pending = [each["batch"] for each in now["pending"]]
        assert [now["last_batch"]] == (pending[-1:] or [""]), ("a batch that is nowhere", facts)
        return 0
    _check_chain(lines, facts)
    _check_head(place, lines, now, facts)
    for line in lines:
        _check_line(place, line, facts)
    return len(lines)


def _check_chain(lines: list[Json], facts: object) -> None:
    batches = [line["batch_id"] for line in lines]
    assert len(set(batches)) == len(batches), ("a batch was loaded twice", facts)
    assert [line["parent_id"] for line in lines] == ["", *batches[:-1]], ("broken chain", facts)
    numbers = [line["seq"] for line in lines]
    assert numbers == list(range(1, len(lines) + 1)), ("seq", numbers, facts)
    epochs = [line["epoch"] for line in lines]
    assert epochs == sorted(epochs), ("an epoch went back", epochs, facts)


def _check_head(place: Place, lines: list[Json], now: Json, facts: object) -> None:
    heads = _rows(place, f"SELECT * FROM s3rs_meta.{place.ledger}_head")
    assert len(heads) == 1, ("heads", heads, facts)
    (head,), last = heads, lines[-1]
    for name in ("pipeline", "source", "generation", "seq", "batch_id", "position"):
        assert head[name] == last[name], ("head and last line differ", name, facts)
    ((count,),) = redshift(place.box.redshift.url, f"SELECT count(*) FROM {place.feeds}")
    assert head["rows_total"] == count, ("rows_total", head["rows_total"], count, facts)
    pending = now["pending"]
    batches = [head["batch_id"], *(each["batch"] for each in pending)]
    assert [each["parent"] for each in pending] == batches[:-1], ("pending chain", facts)
    assert now["last_batch"] == batches[-1], ("state and ledger differ", facts)
    assert now["next_seq"] == head["seq"] + len(batches), ("next_seq", facts)
    assert now["loaded"]["batch"] == head["batch_id"], ("loaded", facts)
    assert now["rows"]["loaded"] == count, ("rows.loaded", now["rows"], count, facts)
    copied = sum(line["rows_copied"] for line in lines) + sum(each["rows"] for each in pending)
    assert now["rows"]["extracted"] == copied, ("rows.extracted", now["rows"], copied, facts)
    if not pending:
        assert head["position"] == _canonical(now["position"]), ("position", facts)


def _check_line(place: Place, line: Json, facts: object) -> None:
    batch = line["batch_id"]
    home = f"{place.layout.data}g{line['generation']:06d}/e{line['epoch']:08d}"
    body = get(place, f"{home}/s{line['seq']:010d}-{batch}/batch.json")
    assert body is not None, ("batch.json is gone", batch, facts)
    document = json.loads(body)
    stated = document.pop("sha256")
    found = hashlib.sha256(_canonical(document).encode()).hexdigest()
    assert found == stated == line["manifest_sha256"].strip(), ("digest", batch, facts)
    rows = sum(part["rows"] for part in document["parts"])
    assert line["rows_copied"] == rows, ("rows of the parts", batch, facts)


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _lines(place: Place) -> list[Json]:
    known = redshift(
        place.box.redshift.url, f"SELECT 1 FROM pg_class WHERE relname = '{place.ledger}'"
    )
    if not known:
        return []
    return _rows(place, f"SELECT * FROM s3rs_meta.{place.ledger} ORDER BY generation, seq")


def _rows(place: Place, statement: str) -> list[Json]:
    import psycopg
    from psycopg.rows import dict_row

    with psycopg.connect(
        place.box.redshift.url, autocommit=True, row_factory=dict_row
    ) as connection:
        return connection.execute(statement.encode()).fetchall()


def _holders(place: Place) -> list[tuple[Any, ...]]:
    return redshift(
        place.box.redshift.url,
        "SELECT t.pid FROM svv_transactions t JOIN pg_class c ON c.oid = t.relation"
        f" WHERE c.relname = '{place.ledger}_head' AND t.granted"
        " AND t.lock_mode = 'AccessExclusiveLock'",
    )


def _keys(place: Place, query: dict[str, str]) -> list[str]:
    text = _asked(place, f"?{urlencode(query)}").decode()
    assert "<IsTruncated>true" not in text
    return re.findall("<Key>([^<]*)</Key>", text)


def _asked(place: Place, what: str, body: bytes | None = None) -> bytes:
    """A request as of an owner of the bucket: moto looks who asks, and at no signature.

    An object that is replaced while it is read may be moto's failure; who reads asks again, as any
    client of S3 does.
    """
    store = place.box.s3
    credential = f"Credential={store.access_key}/20260101/{store.region}/s3/aws4_request"
    signed = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature={'0' * 64}"
    request = urllib.request.Request(
        f"{store.url}/{store.bucket}{what}",
        data=body,
        method="GET" if body is None else "PUT",
        headers={"Authorization": signed, "Content-Type": "application/octet-stream"},
    )
    tries = _TRIES if body is None else 1
    while True:
        tries -= 1
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                found: bytes = answer.read()
                return found
        except urllib.error.HTTPError as failure:
            if failure.code != HTTPStatus.INTERNAL_SERVER_ERROR or not tries:
                raise
