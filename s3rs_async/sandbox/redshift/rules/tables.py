"""Names, CREATE TABLE and ALTER TABLE."""

from __future__ import annotations

from .rule import Rule

TABLES: tuple[Rule, ...] = (
    Rule("N1", "names: up to 127 bytes in Redshift; above 63 refused here", ("D",), "stricter"),
    Rule("N2", "ASCII letters fold to lower case inside double quotes too", ("D",)),
    Rule("D1", "column types and their defaults are Redshift's", ("D",)),
    Rule("D2", "DISTSTYLE, DISTKEY, SORTKEY and ENCODE are checked and recorded", ("D",)),
    Rule("D3", "primary, unique and foreign keys are not enforced; NOT NULL is", ("D",)),
    Rule("D4", "VARCHAR lengths are bytes in INSERT and UPDATE too", ("D",)),
    Rule("L2", "ALTER COLUMN TYPE only widens VARCHAR, outside a block", ("D", "I", "A")),
    Rule("L3", "ALTER TABLE adds one column a statement, no key", ("D", "I")),
    Rule("L5", "ALTER TABLE APPEND empties its source, outside a block", ("D",)),
)
