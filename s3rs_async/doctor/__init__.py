"""What `s3rs doctor` finds out: whether every connection can do what a sync will ask of it.

Nothing that matters is changed: one canary object and one row for the COPY test in the bucket, an
upload that is taken back, a temporary table that is rolled back.
"""

from .check import Check, Level, exit_code
from .examination import examine

__all__ = ["Check", "Level", "examine", "exit_code"]
