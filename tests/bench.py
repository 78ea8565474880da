"""What symbench costs, side by side with doing without it, in one run: ``make bench``. Ratios, not seconds, count."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import symbench
from symbench.evaluate.exactness import FEW, nearby
from symbench.testing import Blobs

SAMPLES, CONTROLS, SIZE, BATCH, ROUNDS = 384, 16, 65, 32, 3
SUITE = """\
version: 1
name: bench
datasets: {blobs: {use: "bench:data"}}
models: {net: {use: "bench:Gigaflop"}}
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


def main() -> None:
    """Print every figure that README or an issue speaks of."""
    help_time()
    evaluation()


def help_time() -> None:
    """``symbench --help`` beside a Python that does nothing."""
    for name, command in (("python -c pass", ["-c", "pass"]), ("symbench --help", ["-m", "symbench", "--help"])):
        took = []
        for _ in range(9):
            start = time.perf_counter()
            subprocess.run([sys.executable, *command], check=True, capture_output=True)
            took.append(time.perf_counter() - start)
        print(f"{name:<44} {statistics.median(took):.2f} s")


def evaluation() -> None:
    """A whole run (suite to estimates on disk) against bare forward passes over as many images, taken in turns."""
    net = Gigaflop().eval()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        net(torch.rand(1, 3, SIZE, SIZE))
    gflop = counter.get_total_flops() / 1e9
    print(f"network {gflop:.2f} GFLOP, {SAMPLES} images x 4 elements, controls on {CONTROLS}, batch {BATCH}")
    ratios = []
    for round_number in range(ROUNDS + 1):
        bare, measured = _bare(net), _measured()
        if round_number:  # the first round warms up
            ratios.append(measured / bare)
            print(f"  bare {bare:.1f} s, symbench {measured:.1f} s, ratio {ratios[-1]:.3f}")
    print(f"{'evaluation / bare forward passes (at most 1.15)':<44} {statistics.median(ratios):.3f}")


def _bare(net: nn.Module) -> float:
    images = data().batch(range(SAMPLES)).leaves["image"]
    start = time.perf_counter()
    with torch.inference_mode():
        for _ in range(4):
            for piece in images.split(BATCH):
                net(piece)
        for _ in range(3 + 2 * 3):  # repeat, re-batch, precision, and E twice
            net(images[:CONTROLS])
        for size in nearby(SIZE):  # geometry, still and moved
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


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
