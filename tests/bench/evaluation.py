"""A whole run beside bare forward passes, and what ``symbench --help`` takes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import symbench
from bench.table import Figure, say
from symbench.testing import Blobs

SAMPLES, QUICK, ELEMENTS, SIZE, BATCH, ROUNDS = 1024, 64, 8, 65, 32, 3
LIMIT = 1.05
"""So many samples that what a run does once, such as its start and its controls, is a small part of it."""
SUITE = """\
version: 1
name: bench
datasets: {{blobs: {{use: "bench.evaluation:data", args: {{samples: {samples}}}}}}}
models: {{net: {{use: "bench.evaluation:Gigaflop"}}}}
symmetries: {{turns: {{group: D4, on: image}}}}
numerics: {{device: cpu}}
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


def data(samples: int) -> Blobs:
    """Images of three channels."""
    return Blobs(samples, size=SIZE, channels=3)


def figures(*, quick: bool = False) -> Iterator[Figure]:
    """Seconds to ``--help``; a whole run over forward passes of as many images, taken in turns."""
    for name, command, limit in (
        ("python -c pass", ["-c", "pass"], None),
        ("symbench --help", ["-m", "symbench", "--help"], 0.15),
    ):
        yield Figure.over(name, [_seconds(command) for _ in range(9)], "s", at_most=limit)
    net, samples = Gigaflop().eval(), QUICK if quick else SAMPLES
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        net(torch.rand(1, 3, SIZE, SIZE))
    gflop = counter.get_total_flops() / 1e9
    ratios = []
    _bare(net, QUICK), _measured(QUICK)  # warm up
    for _ in range(1 if quick else ROUNDS):
        bare, measured = _bare(net, samples), _measured(samples)
        ratios.append(measured / bare)
        say(f"bare {bare:.1f} s, symbench {measured:.1f} s")
    what = f"{samples:,} images x {ELEMENTS} elements at {gflop:.2f} GFLOP, over bare forward passes"
    yield Figure.over(what, ratios, at_most=LIMIT)


def _seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    return time.perf_counter() - start


def _bare(net: nn.Module, samples: int) -> float:
    """Forward passes of every sample under every element, and nothing else: not even what moves the images."""
    images = data(samples).batch(range(samples)).leaves["image"]
    start = time.perf_counter()
    with torch.inference_mode():
        for _ in range(ELEMENTS):
            for piece in images.split(BATCH):
                net(piece)
    return time.perf_counter() - start


def _measured(samples: int) -> float:
    """A whole run with default controls."""
    with tempfile.TemporaryDirectory() as folder:
        suite = Path(folder) / "bench.yaml"
        suite.write_text(SUITE.format(samples=samples))
        start = time.perf_counter()
        run = symbench.run(suite, choices=symbench.Choices(results=Path(folder) / "results", batch=BATCH))
        took = time.perf_counter() - start
        if run.failed:
            raise SystemExit(f"the bench's cell failed: {run.failed[0].reason}")
        return took
