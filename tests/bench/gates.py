"""The gate and compare on 5 million observations: 20 cells x 5,000 samples x 50 elements. No torch."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.made import made_run
from bench.table import Figure

SECONDS, GIBIBYTES = 20.0, 1.5
SIZE: dict[str, Any] = {"models": 5, "symmetries": 4, "samples": 5000, "elements": 50}
GATES: list[dict[str, Any]] = [
    {"metric": ["worst_case_accuracy"], "max_drop": 0.05},
    {"metric": ["orbit_accuracy"], "max_drop": 0.02},
    {"metric": ["equivariance_error"], "max_drop": 0.05},
]
CODE = """
import resource, sys, time
start = time.perf_counter()
from symbench import cli
status = cli._status(sys.argv[1:])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(status, time.perf_counter() - start, peak, "torch" in sys.modules, file=sys.stderr)
"""


def timed(*arguments: str | Path) -> tuple[float, float]:
    """Seconds and peak resident GiB of a command in its own process, which must end well and without torch."""
    command = [sys.executable, "-c", CODE, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    status, seconds, peak, torch = done.stderr.strip().splitlines()[-1].split()
    if status not in {"0", "1", "4"} or torch == "True":
        raise AssertionError(f"{arguments[0]}: exit status {status}, torch imported: {torch}")
    return float(seconds), float(peak)


def figures() -> Iterator[Figure]:
    """What each command takes."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results"
        first = made_run(results, **SIZE, gates=GATES)
        timed("baseline", "set", "--reason", "bench", "--results", results)
        second = made_run(results, **SIZE, gates=GATES, version=1)
        for name, arguments in (
            ("gate on 5 million observations", ["gate"]),
            ("gate on 5 million observations, against a run", ["gate", "--baseline", first.run]),
            ("compare on 5 million observations", ["compare", first.run, second.run]),
        ):
            seconds, peak = timed(*arguments, "--results", results)
            yield Figure(name, seconds, "s", at_most=SECONDS)
            yield Figure(f"{name}, peak resident memory", peak, "GiB", at_most=GIBIBYTES)
