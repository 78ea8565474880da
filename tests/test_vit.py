"""The vision transformer: blind to the order of patches without an encoding, to absolute positions with turned ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from symbench.algebra.groups.symmetric import Symmetric
from symbench.base.registry import Options
from symbench.domains.common.models import MODELS
from symbench.domains.images.actions.patches import PermutePatches
from symbench.domains.images.models.encodings import Rotary, grid_positions, sinusoidal
from symbench.domains.images.models.vit import Attention, Vit, patches

FLOOR = {torch.float32: 1e-5, torch.float64: 1e-11}
ENCODINGS = ["learned", "sinusoidal", "rotary", "none"]


def build(side: int = 12, channels: int = 1, **options: Any) -> Vit:
    row = MODELS.row("vit")
    torch.manual_seed(0)
    module = row.load()(shape=(channels, side, side), outputs=10, **row.options(**options).model_dump())
    assert isinstance(module, Vit)
    return module


def trained(module: nn.Module, x: Tensor, steps: int) -> nn.Module:
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(steps):
        optimiser.zero_grad()
        cross_entropy(module(x), torch.arange(len(x)) % 10).backward()
        optimiser.step()
    return module.eval()


def shuffled(x: Tensor) -> Tensor:
    """Images under elements of S9, which permutes 3 x 3 patches, by the library's own action."""
    group = Symmetric(9)
    g = group.sample(4, generator=torch.Generator().manual_seed(0))
    moved: Tensor = PermutePatches(group, Options()).act(g, x)
    return moved


@pytest.mark.parametrize("steps", [0, 3])
@pytest.mark.parametrize("dtype", list(FLOOR), ids=str)
@pytest.mark.parametrize("patch", [4, 2])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_order_of_patches_is_seen_by_encodings_alone(
    encoding: str, patch: int, dtype: torch.dtype, steps: int
) -> None:
    """S9 moves blocks of 4 x 4 pixels on 12: with ``patch: 2`` each is four patches, which move together."""
    x = torch.rand(6, 1, 12, 12).to(dtype)
    module = trained(build(patch=patch, width=16, encoding=encoding).to(dtype), x, steps)
    with torch.no_grad():
        unmoved, moved = module(x), torch.stack([module(each) for each in shuffled(x)])
    change = float((moved - unmoved).abs().max() / (unmoved - unmoved.mean(0)).abs().max())
    assert change <= FLOOR[dtype] if encoding == "none" else change > 1e-3


@torch.no_grad()
def test_parts_that_are_no_patches_are_seen() -> None:
    """Patches of 5 pixels on 12 straddle the blocks of 4 that are moved."""
    x = torch.rand(6, 1, 12, 12).double()
    module = build(patch=5, encoding="none").double()
    assert float((module(shuffled(x)[0]) - module(x)).abs().max()) > 1e-3


# Encodings.


@torch.no_grad()
def logits(encoding: str, by: float) -> Tensor:
    """Attention's logits between nine tokens, all positions shifted by a constant in rows and columns."""
    torch.manual_seed(0)
    positions = grid_positions(3, 3).double() + torch.tensor([by, 2 * by], dtype=torch.float64)
    rotary = Rotary(positions, 8) if encoding == "rotary" else None
    attention = Attention(16, 2, rotary).double()
    tokens = torch.rand(2, 9, 16).double()
    if encoding == "sinusoidal":
        tokens = tokens + sinusoidal(positions, 16)
    elif encoding == "learned":
        table = torch.randn(12, 12, 16).double()
        tokens = tokens + table[positions[:, 0].long(), positions[:, 1].long()]
    queries, keys, _ = attention.into(tokens).unflatten(-1, (3, 2, 8)).permute(2, 0, 3, 1, 4)
    return attention.logits(queries, keys)


def test_rotary_logits_depend_on_relative_positions_alone() -> None:
    assert torch.allclose(logits("rotary", 3), logits("rotary", 0), atol=1e-12, rtol=0)
    assert not torch.allclose(logits("rotary", 0), logits("none", 0), atol=1e-2), "and they do depend on them"


@pytest.mark.parametrize("encoding", ["sinusoidal", "learned"])
def test_added_encodings_depend_on_absolute_positions(encoding: str) -> None:
    assert not torch.allclose(logits(encoding, 3), logits(encoding, 0), atol=1e-2)


def test_rotary_is_a_rotation_by_row_and_column() -> None:
    """Against complex numbers: pairs (i, i + 4) of 8 channels, rates 1 and 1/10 for rows, then for columns."""
    positions = grid_positions(2, 3).double()
    x = torch.rand(1, 1, 6, 8).double()
    turned = Rotary(positions, 8)(x)[0, 0]
    for token in range(6):
        row, column = divmod(token, 3)
        for pair, angle in enumerate((row, row / 10, column, column / 10)):
            value = complex(x[0, 0, token, pair], x[0, 0, token, pair + 4])
            expected = torch.tensor(value) * torch.exp(torch.tensor(1j * angle, dtype=torch.complex128))
            assert abs(complex(turned[token, pair], turned[token, pair + 4]) - complex(expected)) < 1e-6


@pytest.mark.parametrize("width", [16, 13])
def test_sinusoidal_tells_all_positions_apart(width: int) -> None:
    table = sinusoidal(grid_positions(9, 9).double(), width)
    assert table.shape == (81, width)
    assert float((torch.cdist(table, table) + torch.eye(81)).min()) > 0.1


# Patches and options.


def test_patches_are_cut_row_by_row_and_padded_all_around() -> None:
    x = torch.arange(1.0, 26.0).view(1, 1, 5, 5)
    cut = patches(x, 3)
    assert cut.shape == (1, 4, 9)
    assert cut[0, 0].tolist() == [1, 2, 3, 6, 7, 8, 11, 12, 13], "one pixel is missing: it goes below and right"
    assert cut[0, 3].tolist() == [19, 20, 0, 24, 25, 0, 0, 0, 0]
    assert patches(x, 7)[0].view(1, 7, 7)[:, 1:6, 1:6].equal(x[0])


@pytest.mark.parametrize(
    ("side", "patch", "tokens"), [(28, 4, 49), (29, 5, 36), (33, 5, 49), (5, 1, 25), (224, 32, 49)]
)
def test_the_usual_patch(side: int, patch: int, tokens: int) -> None:
    module = build(side)
    assert module.patch == patch
    assert module.tokens(torch.rand(1, 1, side, side)).shape == (1, tokens, 48)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(("width", "heads", "each"), [(48, 4, 12), (16, 2, 8), (13, 3, 8), (1, 1, 4)])
def test_parameters(encoding: str, width: int, heads: int, each: int) -> None:
    w, depth, inner = width, 2, heads * each
    block = (w + 1) * 3 * inner + (inner + 1) * w + (w + 1) * 2 * w + (2 * w + 1) * w + 2 * 2 * w
    ends = (3 * 4 * 4 + 1) * w + 2 * w + (w + 1) * 10
    positions = 9 * w if encoding == "learned" else 0
    module = build(12, 3, width=w, heads=heads, depth=depth, patch=4, encoding=encoding)
    assert sum(p.numel() for p in module.parameters()) == depth * block + ends + positions
    assert module(torch.rand(2, 3, 12, 12)).shape == (2, 10)


@pytest.mark.parametrize("options", [{"encoding": "absolute"}, {"patch": 0}, {"heads": 0}, {"depth": 0}])
def test_options_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        MODELS.row("vit").options(**options)
