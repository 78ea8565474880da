"""A whole run beside bare forward passes, and what ``symbench --help`` takes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import symbench
from bench.table import Figure, say
from symbench.domains.images.handling import Pixels
from symbench.measure.evaluate.exactness import FEW
from symbench.testing import Blobs

SAMPLES, CONTROLS, SIZE, BATCH, ROUNDS = 384, 16, 65, 32, 3
SUITE = """\
version: 1
name: bench
datasets: {blobs: {use: "bench.evaluation:data"}}
models: {net: {use: "bench.evaluation:Gigaflop"}}
symmetries: {turns: {group: C4, on: image}}
numerics: {device: cpu}
controls: {samples: 16}
"""


class Gigaflop(nn.Module):
    """A convolutional network of about 1 GFLOP for each image of 65 x 65 pixels."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        widths = [3, 32, 64, 96, 96]
        self.layers = nn.Sequential(
            *(m for a, b in pairwise(widths) for m in (nn.Conv2d(a, b, 3, padding=1), nn.ReLU()))
        )
        self.head = nn.Linear(widths[-1], 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images to logits."""
        x = nn.functional.interpolate(x, scale_factor=0.943, mode="nearest")  # so that the total is 1 GFLOP
        out: torch.Tensor = self.head(self.layers(x).mean((2, 3)))
        return out


def data() -> Blobs:
    """Images of three channels."""
    return Blobs(SAMPLES, size=SIZE, channels=3)


def figures() -> Iterator[Figure]:
    """Seconds to ``--help``; a whole run over forward passes of as many images, taken in turns."""
    for name, command in (("python -c pass", ["-c", "pass"]), ("symbench --help", ["-m", "symbench", "--help"])):
        took = []
        for _ in range(9):
            start = time.perf_counter()
            subprocess.run([sys.executable, *command], check=True, capture_output=True)
            took.append(time.perf_counter() - start)
        yield Figure(name, median(took), "s")
    net = Gigaflop().eval()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        net(torch.rand(1, 3, SIZE, SIZE))
    gflop = counter.get_total_flops() / 1e9
    ratios = []
    for round_number in range(ROUNDS + 1):
        bare, measured = _bare(net), _measured()
        if round_number:  # the first round warms up
            ratios.append(measured / bare)
            say(f"bare {bare:.1f} s, symbench {measured:.1f} s")
    what = f"{SAMPLES} images x 4 elements at {gflop:.2f} GFLOP, over bare forward passes"
    yield Figure(what, median(ratios), at_most=1.15)


def _bare(net: nn.Module) -> float:
    images = data().batch(range(SAMPLES)).leaves["image"]
    start = time.perf_counter()
    with torch.inference_mode():
        for _ in range(4):
            for piece in images.split(BATCH):
                net(piece)
        for _ in range(3 + 2 * 3):  # repeat, re-batch, precision, and E twice
            net(images[:CONTROLS])
        for size in Pixels().nearby(SIZE):  # geometry, still and moved
            few = nn.functional.interpolate(images[:FEW], size=(size, size))
            net(few)
            net(few)
    return time.perf_counter() - start


def _measured() -> float:
    with tempfile.TemporaryDirectory() as folder:
        suite = Path(folder) / "bench.yaml"
        suite.write_text(SUITE)
        start = time.perf_counter()
        run = symbench.run(suite, choices=symbench.Choices(results=Path(folder) / "results", batch=BATCH))
        took = time.perf_counter() - start
        if run.failed:
            raise SystemExit(f"the bench's cell failed: {run.failed[0].reason}")
        return took
