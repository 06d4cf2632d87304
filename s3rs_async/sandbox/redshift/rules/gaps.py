"""Where Redshift does otherwise and no rule says so: known, and not mended.

These are no rules: nothing is in force, so nothing can be switched off or checked. Who relies on
one of them has been warned.
"""

from __future__ import annotations

GAPS: tuple[str, ...] = (
    "a cast to VARCHAR(n) or CHAR(n) cuts by characters; Redshift counts bytes",
    "blanks at the end of a VARCHAR count when values are compared; Redshift passes them over",
    "SUPER keeps its keys in an order of its own, and a key that is given twice once",
    "NUMERIC without a precision keeps every digit in CREATE TABLE AS",
    "a column without ENCODE shows none; Redshift chooses an encoding",
    "DROP TABLE does not look at the foreign keys that name the table",
    "keys are not in pg_index",
    "names of result columns are unknown to later expressions and, but in the catalogue, to WHERE",
    "a table made while a statement waits for its locks slips by message 1018",
    "the other transaction in the DETAIL of 1023 is always 0",
    "load logs show every user's rows; the stand-in has one user",
    "line_number and position of load errors are 0",
    "CANCEL and pg_cancel_backend stop a COPY only while its rows flow",
    "no slices, queues, limits of concurrency, datashares, Spectrum; times mean nothing",
)
