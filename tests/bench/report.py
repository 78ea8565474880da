"""Reports of many observations and of many models: how long they take, and how much memory."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

from made import many, rotations, run, shifts

from symbench import report
from symbench.estimates import of_run

SYMMETRIES = {"rotations": rotations(50), "turns": rotations(4), "shifts": shifts(3)}


def observations(models: int = 20, samples: int = 5000, elements: int = 50) -> dict[str, float]:
    """A report of 5 million observations: seconds for the estimates, seconds for all formats, GiB at the peak."""
    with tempfile.TemporaryDirectory() as folder:
        store, manifest = run(
            Path(folder), models=[f"model-{i:02d}" for i in range(models)], samples=samples,
            symmetries={"rotations": rotations(elements)},
        )  # fmt: skip
        begun = time.perf_counter()
        frame = of_run(store, manifest)
        estimated = time.perf_counter()
        report.write(store, manifest, frame, Path(folder) / "report")
        ended = time.perf_counter()
    return {"estimates, s": estimated - begun, "report, s": ended - estimated, "peak, GiB": _peak()}


def models(count: int = 50) -> dict[str, float]:
    """A page of many models under six symmetries: seconds to write it, and its size in MB."""
    with tempfile.TemporaryDirectory() as folder:
        symmetries = {**SYMMETRIES, "eighths": rotations(8), "near": shifts(1), "middle": shifts(2)}
        store, manifest = run(
            Path(folder), models=["plain", "middling", "robust"], symmetries=symmetries, gallery=6, side=224
        )
        frame, manifest = many(of_run(store, manifest), manifest, count)
        begun = time.perf_counter()
        (page,) = report.write(store, manifest, frame, Path(folder) / "report", ["html"])
        return {"page, s": time.perf_counter() - begun, "page, MB": page.stat().st_size / 1e6}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)


if __name__ == "__main__":
    for function in (observations, models):
        for what, value in function().items():
            print(f"{function.__name__:<14} {what:<14} {value:.1f}")
    assert "torch" not in sys.modules
