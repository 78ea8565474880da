"""How far a network's logits change when images are moved, in a few lines that share nothing with the library's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from symbench.domains.common.models import MODELS
from symbench.domains.images.datasets.digits import load

Move = Callable[[Tensor], Tensor]
QUARTER_TURNS: list[Move] = [lambda x, k=k: torch.rot90(x, k, (-2, -1)) for k in (1, 2, 3)]  # type: ignore[misc]
HALF_TURN: list[Move] = [lambda x: x.flip(-1, -2)]
FLIPS: list[Move] = [lambda x: x.flip(-1), lambda x: x.flip(-2)]
ROLLS: list[Move] = [lambda x: x.roll(1, -1), lambda x: x.roll(-1, -2), lambda x: x.roll((2, 5), (-1, -2))]


def build(name: str, shape: tuple[int, ...], *, outputs: int = 10, seed: int = 0, **options: Any) -> nn.Module:
    """The model of the table, in float32, set to be measured."""
    row, _ = MODELS.find(name)
    torch.manual_seed(seed)
    module: nn.Module = row.load()(shape=shape, outputs=outputs, **row.options(**options).model_dump())
    return module.eval()


def digits(side: int, count: int, *, split: str = "test") -> tuple[Tensor, Tensor]:
    """The first handwritten digits ``(count, 1, side, side)``, and their labels."""
    batch = load(split=split, size=side).batch(range(count))
    return batch.leaves["image"], batch.targets["label"]


def taught(module: nn.Module, images: Tensor, labels: Tensor, *, epochs: int) -> nn.Module:
    """The module after SGD with momentum on batches of 32, set to be measured.

    Batch statistics are taken once more at the end: running ones would be those of no training after a few steps.
    """
    images = images.to(next(module.parameters()).dtype)
    optimiser = torch.optim.SGD(module.train().parameters(), lr=0.05, momentum=0.9)
    for _ in range(epochs):
        for chosen in torch.arange(len(images)).split(32):
            optimiser.zero_grad()
            cross_entropy(module(images[chosen]), labels[chosen]).backward()
            optimiser.step()
    for part in module.modules():
        if isinstance(part, (nn.BatchNorm2d, nn.BatchNorm3d)):
            part.momentum = 1.0
    with torch.no_grad():
        module(images)
    return module.eval()


@torch.no_grad()
def relative_error(module: nn.Module, x: Tensor, moves: Sequence[Move]) -> float:
    """sqrt(mean of |f(g x) - g f(x)|^2 / mean of |f(x) - f(x')|^2 over pairs of samples), where maps move along."""
    x = x.to(next(module.parameters()).dtype)
    unmoved = module(x).double()
    moved = [(module(move(x)).double(), move(unmoved) if unmoved.ndim == 4 else unmoved) for move in moves]
    deviation = torch.stack([(got - wanted).square().flatten(1).sum(1) for got, wanted in moved]).mean()
    flat = unmoved.flatten(1)
    pairs = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist").square()
    return float((deviation / (pairs.sum() / (len(x) * (len(x) - 1)))).sqrt())
