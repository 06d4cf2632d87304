"""What is written is read again, whatever it holds, and no two tables ever share a key."""

from __future__ import annotations

import json
import string
from dataclasses import is_dataclass, replace
from random import Random
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from hypothesis import given
from hypothesis import strategies as st

from s3rs_async.commit import Pending, State
from s3rs_async.model import TableName
from s3rs_async.s3.layout import Attempt, Layout, tkey
from s3rs_async.s3.state import Document, decode, encode
from tests.property.examples import plain

LAYOUT = Layout("s3rs", "shop", "source", TableName("shop", "orders"))
names = st.text(max_size=80) | st.text("aA%./_-\\", max_size=8)
tables = st.tuples(names, names, names)
NEAR = ("", "a", "A", "a.b", "a/b", "a%2Fb", "%61", "é", "e\u0301", "..", ".", "_writers", "\x00")


_LETTERS = 'aZ0 "\\/\n\x00\x1f\x7fé田\U0001f980\u2028\ufeff{}[],:'
_NUMBERS = (0, 1, 2, 255, 2**31, 2**53, 2**63 - 1)


def made(kind: Any, chance: Random) -> Any:
    """Any value of a type, as the codec meets it in a state."""
    if get_origin(kind) is UnionType:
        return made(chance.choice(get_args(kind)), chance)
    if get_origin(kind) is tuple:
        return tuple(made(get_args(kind)[0], chance) for _ in range(chance.randrange(4)))
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{name: made(hints[name], chance) for name in hints})  # type: ignore[operator]
    return _PLAIN[kind](chance)


_PLAIN: dict[Any, Any] = {
    NoneType: lambda _: None,
    bool: lambda chance: chance.random() < 0.5,
    int: lambda chance: chance.choice(_NUMBERS),
    str: lambda chance: "".join(chance.choices(_LETTERS, k=chance.randrange(12))),
}


def chain(state: State, chance: Random) -> State:
    """The same state with batches pending that hang together."""
    seq, parent, pending = chance.randrange(1, 10**12), "", []
    for _ in range(chance.randrange(5)):
        batch = "".join(chance.choices(string.ascii_uppercase + string.digits, k=26))
        at = LAYOUT.manifest(Attempt(1, chance.randrange(99), seq, batch))
        fresh = made(Pending, chance)
        pending.append(replace(fresh, seq=seq, batch=batch, parent=parent, manifest=at))
        seq, parent = seq + 1, batch
    return replace(
        state,
        generation=1 + chance.randrange(9),
        next_seq=seq,
        last_batch=parent,
        pending=tuple(pending),
    )


def unknown(chance: Random) -> dict[str, Any]:
    """Fields of a release that is not ours."""
    values = (None, True, 1.5, "é", [1, [2]], {"a": {"b": []}}, -(2**60))
    return {f"new_{number}": chance.choice(values) for number in range(chance.randrange(4))}


@plain
@given(seed=st.integers(0, 2**32))
def test_a_state_is_read_as_it_was_written_and_keeps_what_we_do_not_know(seed: int) -> None:
    chance = Random(seed)
    state = chain(made(State, chance), chance)
    document = Document(state, 1 + chance.randrange(2**53), "W", unknown(chance))
    body = encode(document, LAYOUT)
    read = decode(body, LAYOUT)
    assert read == document
    assert document.unknown.items() <= json.loads(body).items()
    assert encode(read, LAYOUT) == body


@plain
@given(tables, tables)
def test_no_two_tables_share_a_key_and_no_key_leaves_its_place(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    keys = [tkey(connection, TableName(schema, name)) for connection, schema, name in (one, other)]
    folded = [key.casefold() for key in keys]
    assert (folded[0] == folded[1]) == (one == other)
    assert [len(key.split("/")) for key in keys] == [3, 3]
    assert not {".", "..", ""} & {part for key in keys for part in key.split("/")}


@plain
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
