"""`python -m s3rs_async`, and the `s3rs` script."""

from __future__ import annotations

import sys

from . import memory
from .cli import run


def main() -> None:
    """Run the command line and end the process with its exit code."""
    memory.give_back()
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
