"""Reports of many observations and of many models: how long they take, and how much memory."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from browser import CHROMIUM, browser
from made import many, rotations, run, shifts

from bench.table import Figure
from symbench.read import report
from symbench.read.estimates import of_run

SYMMETRIES = {"rotations": rotations(50), "turns": rotations(4), "shifts": shifts(3)}


def observations(models: int = 20, samples: int = 5000, elements: int = 50) -> dict[str, float]:
    """A report of 5 million observations in all formats: seconds, and GiB at the peak."""
    with tempfile.TemporaryDirectory() as folder:
        store, manifest = run(
            Path(folder), models=[f"model-{i:02d}" for i in range(models)], samples=samples,
            symmetries={"rotations": rotations(elements)},
        )  # fmt: skip
        begun = time.perf_counter()
        report.write(store, manifest, of_run(store, manifest), Path(folder) / "report")
        seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)
    return {"seconds": seconds, "peak": peak}


def models(count: int = 50) -> dict[str, float]:
    """A page of many models under six symmetries: its size in MB, and seconds until a browser has loaded it."""
    with tempfile.TemporaryDirectory() as folder:
        symmetries = {**SYMMETRIES, "eighths": rotations(8), "near": shifts(1), "middle": shifts(2)}
        store, manifest = run(
            Path(folder), models=["plain", "middling", "robust"], symmetries=symmetries, gallery=5, side=224
        )
        frame, manifest = many(of_run(store, manifest), manifest, count)
        (page,) = report.write(store, manifest, frame, Path(folder) / "report", ["html"])
        found = {"size": page.stat().st_size / 1e6}
        if CHROMIUM is not None:
            with browser(Path(folder)) as tab:
                found["load"] = min(tab.open(page) for _ in range(3))
        return found


def figures() -> Iterator[Figure]:
    """Reports, each in a process of its own, without torch."""
    for what, limits in (("observations", OBSERVATIONS), ("models", MODELS)):
        command = [sys.executable, "-m", "bench.report", what]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        for key, (name, unit, limit) in limits.items():
            if key in found:
                yield Figure(name, found[key], unit, at_most=limit)


OBSERVATIONS = {
    "seconds": ("report of 5 million observations, all formats", "s", 20.0),
    "peak": ("report of 5 million observations, peak resident memory", "GiB", 1.5),
}
MODELS = {
    "size": ("page of 50 models under 6 symmetries", "MB", 10.0),
    "load": ("page of 50 models, until Chromium has loaded it (best of 3)", "s", 3.0),
}


if __name__ == "__main__":
    print(json.dumps(observations() if sys.argv[1] == "observations" else models()))
    assert "torch" not in sys.modules
