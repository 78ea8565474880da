"""Every image model that claims an exact group keeps it, before and after training; every other is shown not to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from breaking import FLIPS, HALF_TURN, QUARTER_TURNS, ROLLS, Move, build, digits, relative_error, taught
from torch import Tensor

from symbench.domains.common.models import MODELS

D4 = [*QUARTER_TURNS, *FLIPS, lambda x: x.transpose(-1, -2)]
BY_FOUR: list[Move] = [lambda x: x.roll(4, -1), lambda x: x.roll((-4, 8), (-1, -2))]
SMALL = {"width": 4}
FLOORS = {torch.float32: 2e-5, torch.float64: 1e-12}
"""Of E; before training logits differ by a thousandth of their size, so that rounding is large beside it."""


def reordered(x: Tensor) -> Tensor:
    """All pixels in another order."""
    order = torch.randperm(x.shape[-2] * x.shape[-1], generator=torch.Generator().manual_seed(3))
    return x.flatten(-2)[..., order].unflatten(-1, x.shape[-2:])


def between(x: Tensor) -> Tensor:
    """Half a pixel to the right: no pixel is left as it was."""
    return (x + x.roll(1, -1)) / 2


def rolled(by: int, axis: int) -> Move:
    """So many pixels along an axis."""
    return lambda x: x.roll(by, axis)


def lessons(model: str, side: int) -> tuple[Tensor, Tensor]:
    """Images, and what they show: of models of maps, at each pixel that is ink."""
    images, labels = digits(side, 96, split="train")
    maps = any(field.places for field in MODELS.rows[model].outputs.values())
    return images, labels[:, None, None] * (images[:, 0] > 0.5) if maps else labels


@dataclass(frozen=True)
class Claim:
    """What a model keeps at these sizes, and what it breaks there."""

    model: str
    sides: tuple[int, ...]
    exact: list[Move]
    broken: list[Move]
    options: dict[str, Any] = field(default_factory=dict)


CLAIMS = [
    Claim("mlp", (17,), [], [*QUARTER_TURNS, *FLIPS]),
    Claim("cnn", (17, 16), [], ROLLS),
    Claim("blur-cnn", (17, 16), [], ROLLS),
    Claim("blur-cnn", (17, 16), [], ROLLS, {"padding": "circular"}),
    Claim("circular-cnn", (15, 16), ROLLS, QUARTER_TURNS, {"width": 8}),
    Claim("aps-cnn", (16, 20), ROLLS, QUARTER_TURNS),
    Claim("p4-cnn", (17,), QUARTER_TURNS, FLIPS),
    Claim("p4-cnn", (16,), [], QUARTER_TURNS),
    Claim("p4m-cnn", (17, 16, 18), D4, ROLLS),
    Claim("p2mm-cnn", (17, 16, 18), [*FLIPS, *HALF_TURN], QUARTER_TURNS[::2]),
    Claim("pixel-mlp", (17, 16), [*D4, *ROLLS, reordered], [between]),
    Claim("circular-fcn", (15, 16), ROLLS, QUARTER_TURNS),
    Claim("unet", (17, 16), [], [*QUARTER_TURNS, *BY_FOUR]),
    Claim("unet", (16, 20), BY_FOUR, ROLLS, {"padding": "circular"}),
    Claim("p4-unet", (17, 16, 18, 19), QUARTER_TURNS, FLIPS),
    Claim("support-cnn", (17, 16), [], QUARTER_TURNS),
    Claim("regular-cnn", (17, 16), QUARTER_TURNS, FLIPS),
    Claim("harmonic-cnn", (17, 16), D4, ROLLS),
    Claim("vit", (16,), [], ROLLS),
    Claim("rotconv-published", (17,), [], QUARTER_TURNS),
    Claim("rotconv-fixed", (17,), QUARTER_TURNS, FLIPS),
    Claim("rotconv-fixed", (16,), [], QUARTER_TURNS),
    Claim("rotconv-fixed", (17,), QUARTER_TURNS, ROLLS, {"n": 8}),
    Claim("rotconv-max", (17,), QUARTER_TURNS, FLIPS),
    Claim("rotconv-max", (16,), [], QUARTER_TURNS),
    Claim("rotconv-max", (17,), QUARTER_TURNS, FLIPS, {"n": 12}),
    Claim("rotconv-max", (17,), HALF_TURN, QUARTER_TURNS[::2], {"n": 6}),
    Claim("rotconv-max", (17,), [], HALF_TURN, {"n": 3}),
]
CASES = [
    pytest.param(claim, side, id="-".join([claim.model, str(side), *map(str, claim.options.values())]))
    for claim in CLAIMS
    for side in claim.sides
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize(("claim", "side"), CASES)
def test_what_is_claimed_is_exact_and_the_rest_is_not(claim: Claim, side: int, dtype: torch.dtype) -> None:
    images, _ = digits(side, 24)
    module = build(claim.model, (1, side, side), **{**SMALL, **claim.options}).to(dtype)
    for _ in ("before training", "after it"):
        if claim.exact:
            assert relative_error(module, images, claim.exact) <= FLOORS[dtype]
        assert relative_error(module, images, claim.broken) > 0.01
        taught(module, *lessons(claim.model, side), epochs=1)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_how_far_a_circular_unet_can_be_rolled_follows_from_its_depth(depth: int) -> None:
    images, _ = digits(16, 8)
    module = build("unet", (1, 16, 16), width=2, depth=depth, padding="circular").double()
    for axis in (-2, -1):
        assert relative_error(module, images, [rolled(2**depth, axis)]) <= 1e-12
        for further in (2 ** (depth - 1), 2**depth + 1):
            assert relative_error(module, images, [rolled(further, axis)]) > 1e-6
        assert relative_error(module, digits(17, 8)[0], [rolled(2**depth, axis)]) > 1e-6


def test_all_of_the_built_in_image_models_are_here() -> None:
    ours = {
        name
        for name, row in MODELS.rows.items()
        if row.module.startswith("symbench.domains.images.models.") and not row.source
    }
    # of few classes alone, whose order turns: tests/test_over_constraint.py
    assert {claim.model for claim in CLAIMS} == ours - {"p4-orientation"}
