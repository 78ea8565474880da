"""How the cost of a run grows with samples, elements and models: seconds of the processor over a grid of small runs."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from scipy import stats
from torch import nn

from bench.table import Figure, say
from symbench.testing import Blobs

TIMES, ROUNDS = (1, 2, 4, 8), 3
SAMPLES, ELEMENTS, MODELS, SIDE = 2048, 12, 1, 17
LEAST = {"samples": 16, "elements": 2}
"""The suite whose cost is start-up: that of a run, a cell and a model."""
EXPONENT = 1.1
SUITE = """\
version: 1
name: linear
datasets: {{blobs: {{use: "bench.linear:data", args: {{samples: {samples}}}}}}}
models: {models}
symmetries: {{turns: {{group: SO2, on: image, elements: {elements}}}}}
numerics: {{device: cpu}}
controls: {{samples: 4}}
"""
CODE = """
import json, sys, time
import symbench
from pathlib import Path
taken = []
for number, suite in enumerate(sys.argv[1:]):
    start = time.process_time()
    run = symbench.run(Path(suite), results=Path(suite).parent / f"results-{number}")
    run.estimates()
    assert not run.failed, run.failed
    taken.append(time.process_time() - start)
print(json.dumps(taken))
"""


class Net(nn.Module):
    """A small network, another one for each seed."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        layers = (nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2))
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images to logits."""
        out: torch.Tensor = self.layers(x)
        return out


def data(samples: int) -> Blobs:
    """Images of one channel."""
    return Blobs(samples, size=SIDE, channels=1)


def suite(folder: Path, *, samples: int = SAMPLES, elements: int = ELEMENTS, models: int = MODELS) -> Path:
    """A suite of that size; every model has a seed of its own."""
    entries = ", ".join(f'm{i}: {{use: "bench.linear:Net", args: {{seed: {i}}}}}' for i in range(models))
    path = folder / f"{samples}-{elements}-{models}.yaml"
    path.write_text(SUITE.format(samples=samples, elements=elements, models=f"{{{entries}}}"))
    return path


def grid(folder: Path) -> dict[str, list[tuple[int, Path]]]:
    """By what grows, how many times it is as large, and the suite."""
    return {
        "samples": [(t, suite(folder, samples=t * SAMPLES)) for t in TIMES],
        "elements": [(t, suite(folder, elements=t * ELEMENTS)) for t in TIMES],
        "models": [(t, suite(folder, models=t * MODELS)) for t in TIMES],
    }


def fitted(times: np.ndarray, seconds: np.ndarray) -> tuple[float, float, float]:
    """``b`` of ``log seconds = a + b log times``, its standard error, and R^2."""
    fit = stats.linregress(np.log(times), np.log(seconds))
    return float(fit.slope), float(fit.stderr), float(fit.rvalue**2)


def figures() -> Iterator[Figure]:
    """The exponents, each of one process; start-up, which the smallest of suites takes too, is no part of them."""
    for what in ("samples", "elements", "models"):
        with tempfile.TemporaryDirectory() as name:  # another one each time: what is measured is not measured again
            folder = Path(name)
            suites = grid(folder)[what]
            rounds = [suite(folder, **LEAST), *(path for _, path in suites)] * ROUNDS
            command = [sys.executable, "-c", CODE, *map(str, [suites[0][1], *rounds])]  # the first one warms up
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            taken = np.array(json.loads(done.stdout.splitlines()[-1])[1:]).reshape(ROUNDS, -1)
            least = taken.min(axis=0)  # of the processor, whatever else it does takes time and never gives any
            seconds = least[1:] - least[0]
            slope, error, explained = fitted(np.array(TIMES), seconds)
            say(f"{what} x {', '.join(map(str, TIMES))}: {', '.join(f'{s:.2f} s' for s in seconds)}")
            yield Figure(f"cost over {what}: exponent (+- {error:.2f}, R^2 {explained:.3f})", slope, at_most=EXPONENT)
