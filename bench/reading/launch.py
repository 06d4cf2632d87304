"""Starts one program and writes down what it used: seconds, CPU, the peak of its memory.

    python -I -S launch.py FILE PROGRAM [ARGUMENT...]

It is a process between the benchmark and a contestant for one reason: Linux lets a new program's
`ru_maxrss` begin at the peak of the process that forked it, and the benchmark's own is large. This
one's is about 10 MB. CPU and peak are those of the program and of what it started and waited for.
"""

from __future__ import annotations

import json
import os
import sys
import time


def main(file: str, command: list[str]) -> int:
    """The program's exit code; 128 and more for a signal, as a shell tells it."""
    began = time.perf_counter()
    pid = os.fork()
    if not pid:
        try:
            os.execvp(command[0], command)
        finally:
            os._exit(127)
    _, status, used = os.wait4(pid, 0)
    seconds = time.perf_counter() - began
    code = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024
    figures = {
        "process_seconds": seconds,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_bytes": used.ru_maxrss * unit,
        "exit_code": code,
    }
    with open(file, "w", encoding="utf-8") as told:  # noqa: PTH123 - pathlib costs memory
        json.dump(figures, told)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
