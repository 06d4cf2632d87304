from __future__ import annotations

import pytest

from s3rs_async.model import TableName
from s3rs_async.s3.layout import (
    Attempt,
    HistKey,
    Layout,
    canary_key,
    copy_manifest_of,
    encode_name,
    root,
    writer_key,
)

LAYOUT = Layout("s3rs", "adhoc.shop.dw", "shop", TableName("shop", "orders"))
ATTEMPT = Attempt(3, 12, 88, "01K00000000000000000000000")


def test_keys_are_as_the_protocol_writes_them() -> None:
    home = LAYOUT.home
    parts = home.split("/")
    folder = f"{home}data/g000003/e00000012/s0000000088-01K00000000000000000000000/"

    assert parts[:2] == ["s3rs", "v1"]
    assert parts[2].startswith("adhoc%2Eshop%2Edw.")
    assert [part.split(".")[0] for part in parts[3:6]] == ["shop", "shop", "orders"]
    assert LAYOUT.state == f"{home}state.json"
    assert LAYOUT.hist(418, "01K") == f"{home}hist/00000000000000000418-01K.json"
    assert LAYOUT.part(ATTEMPT, 7) == f"{folder}part-00007.parquet"
    assert LAYOUT.manifest(ATTEMPT) == f"{folder}batch.json"
    assert copy_manifest_of(LAYOUT.manifest(ATTEMPT)) == f"{folder}copy.manifest"
    assert writer_key("s3rs", "01K").startswith("s3rs/v1/_writers/01K.")
    assert canary_key("s3rs", "https://x").startswith("s3rs/v1/_canary/")


def test_a_known_name_keeps_its_key_for_ever() -> None:
    assert encode_name("orders") == "orders.1c168adb00d2"


@pytest.mark.parametrize(("prefix", "found"), [("", "v1/"), ("a", "a/v1/"), ("/a//b/", "a/b/v1/")])
def test_the_prefix_may_have_any_slashes(prefix: str, found: str) -> None:
    assert root(prefix) == found


@pytest.mark.parametrize("name", ["..", "../x", "a/b", "%2F", "a b", "", "\x00", "é", "_writers"])
def test_no_name_can_leave_its_place(name: str) -> None:
    encoded = encode_name(name)
    assert not {"/", " ", "\x00"} & set(encoded)
    assert encoded not in ("..", ".", "_writers", "_canary")
    assert not encoded.startswith(".") or name == ""


def test_the_longest_names_stay_within_s3_s_keys() -> None:
    long = "漢" * 64
    layout = Layout("prefix", long, long, TableName(long, long))
    assert len(layout.part(ATTEMPT, 99999).encode()) <= 1024


@pytest.mark.parametrize(
    "key",
    [
        "",
        LAYOUT.state,
        LAYOUT.data,
        LAYOUT.batch(ATTEMPT),
        LAYOUT.part(ATTEMPT, 7) + "x",
        "x" + LAYOUT.part(ATTEMPT, 7),
        LAYOUT.part(ATTEMPT, 7).replace("part-00007", "part-000007"),
        LAYOUT.part(ATTEMPT, 7).replace("/e00000012", "/e000000012"),
        LAYOUT.part(ATTEMPT, 7).replace("g000003", "g00000\uff13"),
        LAYOUT.manifest(ATTEMPT).replace("/data/", "/date/"),
        LAYOUT.manifest(ATTEMPT).replace("orders", "order2"),
        LAYOUT.batch(ATTEMPT) + "other.json",
        LAYOUT.part(ATTEMPT, 7) + "\n",
    ],
)
def test_what_we_would_not_write_does_not_parse(key: str) -> None:
    assert LAYOUT.parse(key) is None


def test_a_copy_of_a_state_is_known_by_its_number() -> None:
    key = LAYOUT.hist(418, "01K00000000000000000000000")
    assert LAYOUT.parse_hist(key) == HistKey(418, "01K00000000000000000000000")
    assert LAYOUT.parse(key) is None
    for strange in (
        LAYOUT.state,
        LAYOUT.manifest(ATTEMPT),
        f"x{key}",
        f"{key}x",
        key.replace("hist/0", "hist/"),
        key.replace("orders", "order2"),
        key.replace("0418", "\uff10418"),
    ):
        assert LAYOUT.parse_hist(strange) is None
