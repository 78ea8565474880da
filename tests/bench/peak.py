"""What a command takes in a process of its own: seconds, and its peak resident memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = """
import sys, time
start = time.perf_counter()
from symbench.face import cli
status = cli._status(sys.argv[1:])
seconds = time.perf_counter() - start
lines = open("/proc/self/status").read().splitlines()
peak = int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 2**10
print(status, seconds, peak, "torch" in sys.modules, file=sys.stderr)
"""
"""Not ``ru_maxrss``: that of a new process starts from what its parent held, however small it is itself."""


def of_command(*arguments: str | Path) -> tuple[float, float]:
    """Seconds and peak resident MiB of a command, which must end well and without torch."""
    command = [sys.executable, "-c", CODE, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    status, seconds, mebibytes, torch = done.stderr.strip().splitlines()[-1].split()
    if status not in {"0", "1", "4"} or torch == "True":
        raise AssertionError(f"{arguments[0]}: exit status {status}, torch imported: {torch}")
    return float(seconds), float(mebibytes)
