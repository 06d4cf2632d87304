"""What information_schema says of a table, as frozen values.

Facts only, as the server spells them (types in lower case). What follows from them is decided
elsewhere: the values' form in `types`, the way of reading in `chunk`. No IO.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from ..errors import ConfigError
from ..model import TableName


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """One column; a fact that its type does not have is None.

    `own_stamp` says that the server sets the column on every UPDATE, `born_stamped` that an INSERT
    leaves the time or NULL in it.
    """

    name: str
    data_type: str
    column_type: str
    nullable: bool
    characters: int | None = None
    octets: int | None = None
    precision: int | None = None
    scale: int | None = None
    fraction: int | None = None
    charset: str | None = None
    collation: str | None = None
    own_stamp: bool = False
    born_stamped: bool = False
    auto_increment: bool = False


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A table or view: its columns in order, and its keys.

    `keys` are the unique keys whose columns are all NOT NULL, best first; `primary` says that the
    first of them is the primary key. `indexes` are names and columns, None standing for a part that
    is no whole column.
    """

    name: TableName
    columns: tuple[SourceColumn, ...]
    keys: tuple[tuple[str, ...], ...]
    primary: bool
    indexes: tuple[tuple[str, tuple[str | None, ...]], ...]
    engine: str | None
    estimated_rows: int | None = None

    def leads(self, name: str) -> bool:
        """Whether an index begins with the column."""
        return any(columns[0] == name for _, columns in self.indexes)

    def index_for(self, order: tuple[str, ...]) -> str | None:
        """An index that has the rows in that order; InnoDB adds the primary key to each."""
        for name, columns in self.indexes:
            if order and self._whole(columns)[: len(order)] == order:
                return name
        return None

    def wanted_index(self, order: tuple[str, ...]) -> tuple[str, ...]:
        """The fewest columns of an index that has the rows in that order."""
        for length in range(1, len(order)):
            if self._whole(order[:length])[: len(order)] == order:
                return order[:length]
        return order

    def _whole(self, columns: tuple[str | None, ...]) -> tuple[str | None, ...]:
        behind = self.keys[0] if self.primary and self.engine == "InnoDB" else ()
        return (*columns, *(part for part in behind if part not in columns))

    def column(self, name: str, setting: str | None = None) -> SourceColumn:
        """The column of that name, in whatever case it is given; ConfigError for none.

        `setting` is the one that asks for it, so that the hint can say what to write.
        """
        for column in self.columns:
            if column.name.casefold() == name.casefold():
                return column
        raise ConfigError(
            "unknown column",
            table=str(self.name),
            column=name,
            setting=setting,
            hint=self._hint(name, setting),
        )

    def _hint(self, name: str, setting: str | None) -> str:
        folded = {column.name.casefold(): column.name for column in self.columns}
        near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
        if not near:
            return "it has " + ", ".join(folded.values())
        wanted = folded[near[0]]
        return f"the nearest name is {wanted}" + (f": {setting}: {wanted}" if setting else "")
