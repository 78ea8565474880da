"""Lower precision inside a model: found, named, and never called broken; and what only looks like it."""

from __future__ import annotations

import pytest
import torch
from conftest import CaseOf
from test_running import loaded, records
from torch import Tensor, nn

from symbench.measure.evaluate.precision import Narrowed, half_format

BROKEN, EXACT = "broken: precision does not matter", "exact: "


@pytest.mark.slow
def test_lower_precision_inside_is_undetermined_and_named(case: CaseOf) -> None:
    net = case("half_inside")
    ran = net.run()
    assert ran.code == 0, ran.err
    frame = net.frame().query("metric == 'equivariance_error_float64'").set_index("model")
    inside = {
        "half": "pool (float16)",
        "brain": "pool (bfloat16)",
        "single": "pool (float32)",
        "broken-half": "pool (float16)",
        "functional": "Functional (float16)",
        "elsewhere": "Elsewhere (float16)",
    }
    found = frame["reason"].to_dict()
    assert found["plain"].startswith(EXACT)
    assert {name: found[name] for name in inside} == {
        name: f"undetermined: lower precision inside {where}" for name, where in inside.items()
    }
    assert {name: found[name] for name in ("broken", "broken-single", "constants", "counts")} == dict.fromkeys(
        ("broken", "broken-single", "constants", "counts"), BROKEN
    )
    assert frame["estimate"].to_dict()["half"] > 1e-4, "both precisions round alike: that is what misled"
    assert records(net)["half"].lower_precision == {"pool": "float16"}
    assert records(net)["broken"].lower_precision == {}
    assert "half, broken-half: undetermined: lower precision inside pool (float16)" in ran.out


def test_sums_are_exact_but_for_rounding() -> None:
    """What the case says of its networks, by hand: the same sum in four orders, rounded at every step."""
    cases = loaded("half_inside")
    images = loaded("", "bars").Bars().images.double()
    for dtype, most in ((None, 1e-12), ("float32", 1e-4), ("float16", 1.0), ("bfloat16", 8.0)):
        sums = [cases.Sums(dtype, 0.0)(torch.rot90(images, k, (2, 3))) for k in range(4)]
        off = max(float((each - sums[0]).abs().max()) for each in sums)
        assert off <= most, dtype
        assert off > 0 or dtype is None
    lopsided = cases.Sums(None, 0.5)
    assert float((lopsided(torch.rot90(images, 1, (2, 3))) - lopsided(images)).abs().max()) > 0.1


def follow(function: nn.Module, x: Tensor) -> dict[str, torch.dtype]:
    mode = Narrowed([x], torch.finfo(torch.float64).eps)
    with torch.no_grad(), mode:
        function(x)
    return mode.found


class Does(nn.Module):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def forward(self, x: Tensor) -> Tensor:
        scope = {"x": x, "torch": torch, "buffer": torch.zeros(3, 4, dtype=torch.float16)}
        exec(self.text, scope)
        return x


FOLLOWED = {
    "a cast": ("y = x.half()", torch.float16),
    "a product": ("y = x.float() @ torch.ones(4, 2)", torch.float32),
    "the lowest": ("y = x.float().bfloat16()", torch.bfloat16),
    "written into a buffer": ("buffer[:, 0] = x[:, 0]", torch.float16),
    "of a view of a buffer": ("buffer[:, 0] = x[:, 0]\nz = buffer * 2", torch.float16),
    "an out argument": ("torch.add(x, 1, out=buffer)", torch.float16),
    "nothing": ("y = (x * 2).relu().sum()", None),
    "a constant": ("y = x * torch.linspace(0, 1, 4).double()", None),
    "another's shape": ("y = torch.zeros_like(x, dtype=torch.float16) + x.new_ones(3, 4).half()", None),
    "whole numbers": ("y = x.argmax(1).half()", None),
    "memory that was freed": ("y = x * 2\ndel y\nz = torch.ones(3, 4, dtype=torch.float64).half() * 2", None),
}


@pytest.mark.parametrize("case", list(FOLLOWED))
def test_what_comes_of_the_inputs_is_followed_and_nothing_else(case: str) -> None:
    text, expected = FOLLOWED[case]
    found = follow(Does(text), torch.rand(3, 4, dtype=torch.float64))
    assert found == ({} if expected is None else {"": expected})


def noise(seed: int) -> Tensor:
    return torch.randn(200, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("count", [3, 4, 200])
def test_numbers_of_half_precision_are_recognised(dtype: torch.dtype, count: int) -> None:
    for seed in range(20):
        spread = noise(seed)[:count] * torch.tensor([1.0, 30.0, 0.01] * 67)[:count]
        assert half_format(spread.to(dtype).double()) == dtype
        assert half_format(spread) is None
        assert half_format(spread.float().double()) is None


GRIDS = {
    "whole numbers": torch.arange(-100, 100).double(),
    "one-hots": torch.eye(10, dtype=torch.float64),
    "zeros of a rectifier": torch.cat([torch.zeros(50, dtype=torch.float64), noise(0)]),
    "shares of 64": torch.arange(65).double() / 64,
    "shares of 1024": torch.arange(1025).double() / 1024,
    "two values": torch.tensor([0.1, 0.3], dtype=torch.float16).double(),
    "nothing": torch.zeros(7, dtype=torch.float64),
    "not a number": torch.full((9,), torch.nan, dtype=torch.float64),
    "shares of ten": torch.arange(11).double() / 10,
}


@pytest.mark.parametrize("case", list(GRIDS))
def test_numbers_on_a_grid_are_not(case: str) -> None:
    assert half_format(GRIDS[case]) is None
