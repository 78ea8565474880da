"""Whole runs in modes fused and fast beside bare forward passes of the model as it is, with what they change."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

import symbench
from bench.evaluation import Gigaflop
from bench.table import Figure, say
from symbench.testing import Blobs

BATCH, ROUNDS, FEW = 32, 3, 4
LIMITS = {"fused": 0.7, "fast": 0.45}
SAMPLES = {"Gigaflop": (192, 65), "ResNet18": (64, 224), "EfficientNetB0": (64, 224)}
"""Images of each network, and their side."""
SUITE = """\
version: 1
name: bench
datasets: {{blobs: {{use: "bench.modes:data", args: {{samples: {samples}, size: {size}}}}}}}
models: {{net: {{use: "bench.modes:net", args: {{name: {name}}}}}}}
symmetries: {{turns: {{group: C4, on: image}}}}
numerics: {{device: cpu, mode: {mode}}}
controls: {{samples: 2}}
"""


def ResNet18() -> nn.Module:  # noqa: N802
    """With random weights."""
    found: nn.Module = torchvision.models.resnet18(num_classes=3)
    return found


def EfficientNetB0() -> nn.Module:  # noqa: N802
    """With random weights."""
    found: nn.Module = torchvision.models.efficientnet_b0(num_classes=3)
    return found


def net(name: str) -> nn.Module:
    """A network with random weights whose outputs tell samples apart, as those of trained ones do.

    Its norms have statistics of the data, and its scores are of unit variance times four.
    """
    torch.manual_seed(0)
    made = {"Gigaflop": Gigaflop, "ResNet18": ResNet18, "EfficientNetB0": EfficientNetB0}[name]().train()
    for part in made.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = None
    x = images(FEW, SAMPLES[name][1])
    with torch.no_grad():
        made(x)
        scores = made.eval()(x)
        head = [part for part in made.modules() if isinstance(part, nn.Linear)][-1]
        scale = 4 / scores.std(0)
        head.bias.copy_((head.bias - scores.mean(0)) * scale)
        head.weight.mul_(scale[:, None])
    return made


def data(samples: int, size: int) -> Blobs:
    """Images of three channels."""
    return Blobs(samples, size=size, channels=3)


def images(samples: int, size: int) -> Tensor:
    """The first of them."""
    return data(samples, size).batch(range(samples)).leaves["image"].float()


def figures() -> Iterator[Figure]:
    """Of each network and mode the whole run over bare passes in turns, and the share of predictions that change."""
    for name, (samples, size) in SAMPLES.items():
        module, x = net(name), images(samples, size)
        for mode, limit in LIMITS.items():
            ratios, changed = [], 0.0
            for round_number in range(ROUNDS + 1):
                bare = _bare(module, x)
                measured, changed = _measured(name, mode)
                if round_number:  # the first round warms up
                    ratios.append(measured / bare)
                    say(f"{name}, {mode}: bare {bare:.1f} s, symbench {measured:.1f} s")
            what = f"{name}, mode {mode}, {samples} images x 4 elements, over bare forward passes"
            yield Figure.over(what, ratios, at_most=limit)
            yield Figure(f"{name}, mode {mode}: predictions that change", 100 * changed, "%")


def _bare(module: nn.Module, x: Tensor) -> float:
    start = time.perf_counter()
    with torch.inference_mode():
        for _ in range(4):
            for piece in x.split(BATCH):
                module(piece)
    return time.perf_counter() - start


def _measured(name: str, mode: str) -> tuple[float, float]:
    """Seconds of a whole run, and the share of predictions that its mode changes."""
    samples, size = SAMPLES[name]
    with tempfile.TemporaryDirectory() as folder:
        suite = Path(folder) / "bench.yaml"
        suite.write_text(SUITE.format(name=name, mode=mode, samples=samples, size=size))
        start = time.perf_counter()
        run = symbench.run(suite, choices=symbench.Choices(results=Path(folder) / "results", batch=BATCH))
        took = time.perf_counter() - start
        (cell,) = run.manifest.cells
        record: Any = run.store.cell(cell.key)
        if record is None or record.mode != mode:
            raise SystemExit(f"the bench's cell is not in mode {mode}: {cell.reason or record.remarks['mode']}")
        return took, float(record.facts["changed_predictions"])
