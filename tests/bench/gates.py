"""The gate and compare on 5 million observations: 20 cells x 5,000 samples x 50 elements. No torch."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from made import rotations, run

from bench.peak import of_command
from bench.table import Figure

SECONDS, GIBIBYTES = 20.0, 1.5
MODELS, SYMMETRIES, SAMPLES, ELEMENTS = 5, 4, 5000, 50
GATES: list[dict[str, Any]] = [
    {"metric": ["worst_case_accuracy"], "max_drop": 0.05},
    {"metric": ["orbit_accuracy"], "max_drop": 0.02},
    {"metric": ["equivariance_error"], "max_drop": 0.05},
]


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
        of_command("baseline", "set", "--force", "--reason", "bench", "--results", results)
        second = made(results, 1)
        for name, arguments in (
            ("gate on 5 million observations", ["gate"]),
            ("gate on 5 million observations, against a run", ["gate", "--baseline", first]),
            ("compare on 5 million observations", ["compare", first, second]),
        ):
            seconds, peak = of_command(*arguments, "--results", results)
            yield Figure(name, seconds, "s", at_most=SECONDS)
            yield Figure(f"{name}, peak resident memory", peak / 1024, "GiB", at_most=GIBIBYTES)
