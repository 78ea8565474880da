"""Peak memory at 10 times the samples and at 10 times the elements, of the table, ``report`` and ``gate``. No torch."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from made import rotations, run

from bench.table import Figure, say

GROWTH = 1.10
SIZES = {"samples": ((2_000, 36), (20_000, 36)), "elements": ((2_000, 24), (2_000, 240))}
"""By what grows, samples and elements before and after."""
GATES: list[dict[str, Any]] = [
    {"metric": ["accuracy", "orbit_accuracy", "worst_case_accuracy", "worst_element_accuracy"], "max_drop": 0.05},
    {"metric": ["equivariance_error", "kappa"], "max_drop": 0.05},
    {"metric": ["element_accuracy"], "at_least": 0.1},
]
CODE = """
import resource, sys
from symbench.face import cli
status = cli._status(sys.argv[1:])
print(status, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10, "torch" in sys.modules, file=sys.stderr)
"""


def peak(*arguments: str | Path) -> float:
    """Peak resident MiB of a command in its own process, which must end well and without torch."""
    command = [sys.executable, "-c", CODE, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    status, mebibytes, torch = done.stderr.strip().splitlines()[-1].split()
    if status not in {"0", "1", "4"} or torch == "True":
        raise AssertionError(f"{arguments[0]}: exit status {status}, torch imported: {torch}")
    return float(mebibytes)


def peaks(samples: int, elements: int) -> dict[str, float]:
    """MiB of each command, on two runs of two cells, the first of which is the baseline."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results"
        for seed in (0, 1):
            name, symmetries = f"made-20260101T00000{seed}Z-0000", {"turns": rotations(elements)}
            store, manifest = run(
                results, models=["a", "b"], symmetries=symmetries, samples=samples, gallery=0, seed=seed, name=name
            )
            store.write_manifest(manifest.model_copy(update={"suite": {**manifest.suite, "gates": GATES}}))
            if not seed:
                peak("baseline", "set", "--force", "--reason", "bench", "--results", results)
        page = Path(folder) / "report"
        found = {"gate": peak("gate", "--results", results)}
        return found | {"report": peak("report", "--results", results, "--output", page)}


def figures() -> Iterator[Figure]:
    """Ratios of the peaks."""
    for what, (few, many) in SIZES.items():
        small, large = peaks(*few), peaks(*many)
        for command, mebibytes in large.items():
            say(
                f"{command}: {small[command]:.0f} MiB at {few[0]:,} x {few[1]}, {mebibytes:.0f} at {many[0]:,} x {many[1]}"
            )
            yield Figure(
                f"peak memory of {command} at 10 times the {what}", mebibytes / small[command], at_most=GROWTH
            )


if __name__ == "__main__":
    from bench.table import show

    show(figures())
