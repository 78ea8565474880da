"""What it costs before anything is measured: ``--help``, and a run of a suite that has nothing left to do."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from conftest import ROOT

from bench.table import Figure

HELP, NOTHING = 0.15, 6.0
SUITE = ROOT / "suites" / "quick.yaml"


def seconds(*command: str | Path) -> float:
    """Seconds of the processor, in Python and in the system, that a command takes in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *map(str, command)], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def figures() -> Iterator[Figure]:
    """Seconds of the processor."""
    yield Figure("python -c pass, processor", median(seconds("-c", "pass") for _ in range(9)), "s")
    took = median(seconds("-m", "symbench", "--help") for _ in range(9))
    yield Figure("symbench --help, processor", took, "s", at_most=HELP)
    with tempfile.TemporaryDirectory() as folder:
        command = ("-m", "symbench", "run", SUITE, "--results", folder)
        seconds(*command)
        took = median(seconds(*command) for _ in range(3))
    yield Figure("run of 22 cells with nothing to do, processor", took, "s", at_most=NOTHING)
