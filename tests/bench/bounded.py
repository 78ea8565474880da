"""Peak memory at 10 times the samples and at 10 times the elements, of ``report`` and ``gate``. No torch."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from made import rotations, run

from bench.peak import of_command
from bench.table import Figure, say

GROWTH = 1.10
SIZES = {"samples": ((2_000, 36), (20_000, 36)), "elements": ((2_000, 24), (2_000, 240))}
"""By what grows, samples and elements before and after."""
GATES: list[dict[str, Any]] = [
    {"metric": ["accuracy", "orbit_accuracy", "worst_case_accuracy", "worst_element_accuracy"], "max_drop": 0.05},
    {"metric": ["equivariance_error", "kappa"], "max_drop": 0.05},
    {"metric": ["element_accuracy"], "at_least": 0.1},
]


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
                of_command("baseline", "set", "--force", "--reason", "bench", "--results", results)
        page = Path(folder) / "report"
        found = {"gate": of_command("gate", "--results", results)[1]}
        return found | {"report": of_command("report", "--results", results, "--output", page)[1]}


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
