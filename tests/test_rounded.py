"""The submodule that rounds, told from its numbers: what casts show in no operator, and what only looks like them."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from conftest import ROOT, Folder
from test_evaluate import run
from torch import Tensor, nn

from symbench.measure.evaluate import rounded
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


def test_weights_are_sorted_once_and_only_where_a_format_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, sorted_ = list[int](), list[int]()
    hold, sort = rounded.Weights.hold, Tensor.sort

    def held(this: rounded.Weights, values: Tensor) -> bool:
        asked.append(len(values))
        return hold(this, values)

    def ordered(this: Tensor) -> object:
        sorted_.append(this.numel())
        return sort(this)

    monkeypatch.setattr(rounded.Weights, "hold", held)
    monkeypatch.setattr(Tensor, "sort", ordered)
    assert found(network()) == {}
    assert asked == sorted_ == [], "nothing is of a coarser format"
    net = network(Cast("float32"), nn.Linear(8, 8), Table(nearest=True), nn.Linear(8, 8), Cast("float16"))
    assert found(net) == {"2": torch.float32, "6": torch.float16}
    assert len(asked) > 1
    assert sorted_ == [sum(x.numel() for x in net.parameters())]


def test_among_too_many_weights_nothing_is_looked_for_or_named(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network(Cast("float32"))
    monkeypatch.setattr(rounded, "SEARCHED", sum(x.numel() for x in net.parameters()))
    assert found(net) == {"2": torch.float32}
    monkeypatch.setattr(rounded, "SEARCHED", rounded.SEARCHED - 1)
    monkeypatch.setattr(rounded.Weights, "ordered", property(lambda _: pytest.fail("sorted all the same")))
    assert found(net) == {}


@pytest.mark.parametrize("one", [-1e300, -0.5, 0.25, 1e300])
def test_weights_hold_what_is_among_them(one: float) -> None:
    known = torch.randn(50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    kept = rounded.Weights(nn.ParameterList([known[:20], known[20:].reshape(5, 6)]))
    assert kept.hold(known.flip(0)[:7])
    assert not kept.hold(torch.cat([known[:7], torch.tensor([one], dtype=torch.float64)]))
    assert not rounded.Weights(nn.Tanh()).hold(known), "none are kept"


LOOKED = """
import numpy as np, torch
from torch import nn

class Net(nn.Module):
    def __init__(self, off=0.0, rounds=True):
        super().__init__()
        torch.manual_seed(2)
        self.off, self.rounds, self.head = off, rounds, nn.Linear(2, 2)
    def forward(self, image):
        rows = torch.cat([image, image.square()], 1).double()
        rows = torch.cat([rows[:, :, :1] * (1 + self.off), rows[:, :, 1:]], 2)
        numbers = rows.numpy()
        numbers = numbers.astype(np.float32) if self.rounds else numbers
        total = numbers.cumsum(2)[:, :, -1].cumsum(2)[..., -1]
        return self.head(torch.from_numpy(total.astype(np.float64)).to(image.dtype))
"""
SUITE = """
version: 1
name: looked
datasets: {bars: {use: "bars.py:load"}}
models:
  rounds: {use: "looked.py:Net"}
  broken: {use: "looked.py:Net", args: {off: 0.5}}
symmetries: {turns: {group: C4, on: image}}
numerics: {device: cpu}
scores: logits
"""


def test_hidden_casts_are_looked_for_where_the_verdict_is_open(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not where E stays what it is in float64; and inputs in float32 are no reason: they are moved in float64."""
    shutil.copy(ROOT / "tests" / "cases" / "bars.py", folder.path)
    (folder.path / "looked.py").write_text(LOOKED)
    folder.suite.write_text(SUITE)
    calls = list[object]()

    def search(module: nn.Module, *_: object) -> dict[str, torch.dtype]:
        calls.append(module.off)
        return {}

    monkeypatch.setattr("symbench.measure.evaluate.precision.rounding", search)
    frame = run(folder)
    said = frame[frame["metric"] == "equivariance_error_float64"].set_index("model")["reason"]
    assert said["broken"] == "broken: precision does not matter"
    assert said["rounds"] == "undetermined: is there lower precision inside?"
    assert calls == [0.0]


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
