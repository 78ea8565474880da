"""What controls cost on a small set: a depthwise network on 48 photographs, beside bare forward passes of 192."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import torch
from torch import nn
from torchvision.models import efficientnet_b0

import symbench
from bench.table import Figure, say
from symbench.testing import Blobs

SAMPLES, SIZE, BATCH, ROUNDS = 48, 224, 24, 3
SUITE = """\
version: 1
name: depthwise
datasets: {blobs: {use: "bench.controls:data"}}
models: {net: {use: "bench.controls:network"}}
symmetries: {turns: {group: C4, on: image}}
numerics: {device: cpu}
"""


def network() -> nn.Module:
    """EfficientNet-B0, 0.4 G multiply-adds for each image, with random weights."""
    torch.manual_seed(0)
    return efficientnet_b0()


def data() -> Blobs:
    """Images of three channels."""
    return Blobs(SAMPLES, size=SIZE, channels=3)


def figures() -> Iterator[Figure]:
    """A whole run, without its start-up, over forward passes of as many images; and what controls are of it."""
    net, ratios, shares = network().eval(), [], []
    for round_number in range(ROUNDS + 1):
        bare, (run, controls) = _bare(net), _measured()
        if round_number:  # the first round warms up
            ratios.append(run / bare)
            shares.append(controls / bare)
            say(f"bare {bare:.1f} s, symbench {run:.1f} s, {controls:.1f} s of it controls")
    what = f"{SAMPLES} images x 4 elements through EfficientNet-B0, over bare forward passes"
    yield Figure(what, median(ratios), at_most=2.0)
    yield Figure(f"{what}: controls alone", median(shares))


def _bare(net: nn.Module) -> float:
    images = data().batch(range(SAMPLES)).leaves["image"].float()
    start = time.perf_counter()
    with torch.inference_mode():
        for _ in range(4):
            for piece in images.split(BATCH):
                net(piece)
    return time.perf_counter() - start


def _measured() -> tuple[float, float]:
    """Seconds of a whole run in this process, and of its controls."""
    with tempfile.TemporaryDirectory() as folder:
        suite = Path(folder) / "suite.yaml"
        suite.write_text(SUITE)
        start = time.perf_counter()
        run = symbench.run(suite, choices=symbench.Choices(results=Path(folder) / "results", batch=BATCH))
        took = time.perf_counter() - start
        if run.failed:
            raise SystemExit(f"the bench's cell failed: {run.failed[0].reason}")
        record = run.store.cell(run.manifest.cells[0].key)
        return took, float((record.facts["control_seconds"] if record else None) or 0.0)
