"""The gate and compare on 5 million observations: 20 cells x 5,000 samples x 50 elements. No torch."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from bench.made import made_run

SECONDS, GIBIBYTES = 20.0, 1.5
SIZE = {"models": 5, "symmetries": 4, "samples": 5000, "elements": 50}
GATES = [
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


def timed(*arguments: str | Path) -> tuple[int, float, float, bool]:
    """Exit status, seconds, peak resident GiB and whether torch was imported, of a command in its own process."""
    command = [sys.executable, "-c", CODE, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    status, seconds, peak, torch = done.stderr.strip().splitlines()[-1].split()
    return int(status), float(seconds), float(peak), torch == "True"


def main() -> None:
    """Print what each command takes."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results"
        first = made_run(results, **SIZE, gates=GATES)
        timed("baseline", "set", "--reason", "bench", "--results", results)
        second = made_run(results, **SIZE, gates=GATES, version=1)
        for name, arguments in (
            ("gate", ["gate"]),
            ("gate against a run", ["gate", "--baseline", first.run]),
            ("compare", ["compare", first.run, second.run]),
        ):
            status, seconds, peak, torch = timed(*arguments, "--results", results)
            print(
                f"{name}: {seconds:.1f} s (about {SECONDS:g} or less), {peak:.2f} GiB (at most {GIBIBYTES:g}), "
                f"exit status {status}, torch {'imported' if torch else 'not imported'}"
            )


if __name__ == "__main__":
    main()
