"""What is written is read again, whatever it holds, and no two tables ever share a key."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from s3rs_async.model import TableName
from s3rs_async.s3.layout import Layout, tkey
from s3rs_async.s3.state import Document, decode, encode
from tests.property.examples import thorough
from tests.property.test_state_codec import LAYOUT, documents, names

tables = st.tuples(names, names, names)
NEAR = ("", "a", "A", "a.b", "a/b", "a%2Fb", "%61", "é", "e\u0301", "..", ".", "_writers", "\x00")


@thorough
@given(documents)
def test_a_state_is_read_as_it_was_written_and_keeps_what_we_do_not_know(
    document: Document,
) -> None:
    body = encode(document, LAYOUT)
    read = decode(body, LAYOUT)
    assert read == document
    assert document.unknown.items() <= json.loads(body).items()
    assert encode(read, LAYOUT) == body


@thorough
@given(tables, tables)
def test_no_two_tables_share_a_key_and_no_key_leaves_its_place(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    keys = [tkey(connection, TableName(schema, name)) for connection, schema, name in (one, other)]
    folded = [key.casefold() for key in keys]
    assert (folded[0] == folded[1]) == (one == other)
    assert [len(key.split("/")) for key in keys] == [3, 3]
    assert not {".", "..", ""} & {part for key in keys for part in key.split("/")}


@thorough
@given(tables, tables)
def test_no_table_lies_inside_another_one(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    homes = [
        Layout("s3rs", "shop", connection, TableName(schema, name)).home
        for connection, schema, name in (one, other)
    ]
    assert one == other or not homes[0].startswith(homes[1])


def test_names_that_look_alike_do_not_meet() -> None:
    made = {
        tkey(connection, TableName(schema, name)).casefold()
        for connection in NEAR
        for schema in NEAR
        for name in NEAR
    }
    assert len(made) == len(NEAR) ** 3
