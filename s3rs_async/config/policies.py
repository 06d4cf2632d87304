"""What is asked of values that Redshift has no equal for: for all tables, one table, one column.

A column's own word wins over its table's, that over the default's, and what nobody asked for is
`Policies`' own. YAML reads a bare null as nothing: where `null` is one of the answers it is
meant, elsewhere it takes the default away.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import BeforeValidator

from ..model import (
    BigintUnsigned,
    Binary,
    Dates,
    LongText,
    NulBytes,
    Policies,
    TinyInt1,
)
from .strict import Strict


def _nothing_is(meant: str) -> BeforeValidator:
    return BeforeValidator(lambda value: meant if value is None else value)


class PolicySettings(Strict):
    """What may be written for values of a kind."""

    dates: Annotated[Dates, _nothing_is("null")] = Dates.NULL
    long_text: Annotated[LongText, _nothing_is("null")] = LongText.FAIL
    nul_bytes: Annotated[NulBytes, _nothing_is("fail")] = NulBytes.FAIL
    binary: Annotated[Binary, _nothing_is("hex")] = Binary.HEX
    tinyint1: Annotated[TinyInt1, _nothing_is("smallint")] = TinyInt1.SMALLINT
    bigint_unsigned: Annotated[BigintUnsigned, _nothing_is("decimal")] = BigintUnsigned.DECIMAL


def policies(inherited: Policies, settings: PolicySettings) -> Policies:
    """The inherited ones, with what is written in the place of them."""
    return replace(inherited, **{name: getattr(settings, name) for name in _written(settings)})


def of_column(inherited: Policies, settings: PolicySettings) -> Policies:
    """The same for one column; what is written for it by name must mean something to its type."""
    return replace(policies(inherited, settings), own=_written(settings))


def _written(settings: PolicySettings) -> frozenset[str]:
    return frozenset(PolicySettings.model_fields.keys() & settings.model_fields_set)
