"""Every image model that claims an exact group keeps it, before and after training; every other is shown not to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from breaking import FLIPS, HALF_TURN, QUARTER_TURNS, ROLLS, Move, build, digits, relative_error, taught

from symbench.domains.common.models import MODELS

D4 = [*QUARTER_TURNS, *FLIPS, lambda x: x.transpose(-1, -2)]
SMALL = {"width": 4}
FLOORS = {torch.float32: 2e-5, torch.float64: 1e-12}
"""Of E; before training logits differ by a thousandth of their size, so that rounding is large beside it."""


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
        taught(module, *digits(side, 96, split="train"), epochs=1)


def test_all_of_the_built_in_image_models_are_here() -> None:
    ours = {
        name
        for name, row in MODELS.rows.items()
        if row.module.startswith("symbench.domains.images.models.") and not row.source
    }
    # of few classes alone, whose order turns: tests/test_over_constraint.py
    assert {claim.model for claim in CLAIMS} == ours - {"p4-orientation"}
