"""The gate and compare on 5 million observations: 20 cells x 5,000 samples x 50 elements. No torch."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from made import rotations, run

from bench.table import Figure

SECONDS, GIBIBYTES = 20.0, 1.5
MODELS, SYMMETRIES, SAMPLES, ELEMENTS = 5, 4, 5000, 50
GATES: list[dict[str, Any]] = [
    {"metric": ["worst_case_accuracy"], "max_drop": 0.05},
    {"metric": ["orbit_accuracy"], "max_drop": 0.02},
    {"metric": ["equivariance_error"], "max_drop": 0.05},
]
CODE = """
import resource, sys, time
start = time.perf_counter()
from symbench.face import cli
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


def made(results: Path, seed: int) -> str:
    """A run of 20 cells with the rules, and its id; every seed another."""
    store, manifest = run(
        results,
        models=[f"model-{i}" for i in range(MODELS)],
        symmetries={f"turns-{i}": rotations(ELEMENTS) for i in range(SYMMETRIES)},
        samples=SAMPLES,
        gallery=0,
        seed=seed,
        name=f"made-20260101T00000{seed}Z-0000",
    )
    store.write_manifest(manifest.model_copy(update={"suite": {**manifest.suite, "gates": GATES}}))
    return manifest.run


def figures() -> Iterator[Figure]:
    """What each command takes."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results"
        first = made(results, 0)
        timed("baseline", "set", "--force", "--reason", "bench", "--results", results)
        second = made(results, 1)
        for name, arguments in (
            ("gate on 5 million observations", ["gate"]),
            ("gate on 5 million observations, against a run", ["gate", "--baseline", first]),
            ("compare on 5 million observations", ["compare", first, second]),
        ):
            seconds, peak = timed(*arguments, "--results", results)
            yield Figure(name, seconds, "s", at_most=SECONDS)
            yield Figure(f"{name}, peak resident memory", peak, "GiB", at_most=GIBIBYTES)
