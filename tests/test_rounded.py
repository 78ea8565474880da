"""The submodule that rounds, told from its numbers: what casts show in no operator, and what only looks like them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from symbench.measure.evaluate.rounded import FORMATS, finer, format_of, rounding

EPS = torch.finfo(torch.float64).eps


class Cast(nn.Module):
    """Through another format, where torch does not see it."""

    def __init__(self, dtype: str) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        if self.dtype == "bfloat16":  # NumPy has none
            bits = torch.from_numpy(x.numpy().astype(np.float32)).view(torch.int32) >> 16 << 16
            return torch.from_numpy(bits.view(torch.float32).numpy().astype(np.float64))
        return torch.from_numpy(x.numpy().astype(self.dtype).astype(np.float64))


class Table(nn.Module):
    """Rows of weights, as float32 had them: by place, and by the nearest, which depends on the input."""

    def __init__(self, nearest: bool) -> None:
        super().__init__()
        self.nearest, self.rows = nearest, nn.Parameter(torch.randn(6, 8, generator=torch.Generator().manual_seed(1)))

    def forward(self, x: Tensor) -> Tensor:
        if self.nearest:
            return self.rows[torch.cdist(x, self.rows).argmin(1)]
        return self.rows[: len(x)]


class Grid(nn.Module):
    """Numbers on one grid, which are of every format that is fine enough."""

    def forward(self, x: Tensor) -> Tensor:
        return (x * 16).round() / 16


class Before(nn.Module):
    """Rounds on the way to a submodule, in none."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(Cast("float32")(x))


def network(*middle: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 8), nn.Tanh(), *middle, nn.Linear(8, 8), nn.ReLU()).double()


def found(net: nn.Module) -> dict[str, torch.dtype]:
    x = torch.randn(4, 8, generator=torch.Generator().manual_seed(2))  # of float32, as data mostly are
    with torch.no_grad():
        return rounding(net, lambda leaves: net(leaves["x"]), {"x": x}, EPS)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_hidden_cast_has_its_modules_name_and_format(dtype: str) -> None:
    assert found(network(nn.Sequential(nn.Identity(), Cast(dtype)))) == {"2.1": getattr(torch, dtype)}


def test_a_cast_between_submodules_is_its_callers() -> None:
    assert found(network(nn.Sequential(nn.Tanh(), Before().double()))) == {"2.1": torch.float32}


@pytest.mark.parametrize(
    "middle",
    [
        [],
        [Table(nearest=False).double(), nn.Linear(8, 8)],
        [Table(nearest=True).double()],
        [Grid()],
        [nn.MaxPool1d(1)],
    ],
    ids=["nothing", "a table", "a code book", "a grid", "largest of one"],
)
def test_what_does_not_round_is_not_named(middle: list[nn.Module]) -> None:
    assert found(network(*middle)) == {}


def test_the_format_of_numbers() -> None:
    numbers = torch.randn(50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert format_of(numbers) is None
    for dtype in FORMATS:
        assert format_of(numbers.to(dtype)) == dtype
    assert format_of(torch.arange(100.0)) is None, "whole numbers are of all"
    assert format_of(torch.arange(100.0) / 64) is None, "and so are shares of a power of two"
    assert format_of(numbers.float(), torch.finfo(torch.float32).eps) is None, "asked for coarser ones"
    assert format_of(finer(numbers.float())) is None
    assert torch.allclose(finer(numbers.float()), numbers.float().double(), rtol=1e-7)
