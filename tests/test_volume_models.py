"""Networks on volumes: what each claims to keep it keeps, on which sides, and the others are shown not to."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from symbench.algebra import actions, groups
from symbench.domains.common.models import MODELS
from symbench.domains.common.models.orbit import Orbit
from symbench.domains.points.groups.rotations import signed
from symbench.domains.volumes.models.octahedral import OhConv
from symbench.fields import Category, Field, Grid, Logits, Volume

MAPS = Logits().over(Grid("volume", 3))
FLOOR = 1e-12


def built(name: str, *sides: int, **options: Any) -> nn.Module:
    row = MODELS.row(name)
    known = row.options(**{"width": 4, **options}).model_dump()
    torch.manual_seed(0)
    made = row.load()(shape=(1, *sides), outputs=3, **known)
    assert isinstance(made, nn.Module)
    return taught(made.double(), sides)


def taught(module: nn.Module, sides: tuple[int, ...]) -> nn.Module:
    """After a step that leaves no weight and no running mean where it was."""
    x = torch.rand(4, 1, *sides, dtype=torch.float64)
    before = [each.clone() for each in module.parameters()]
    optimiser = torch.optim.SGD(module.parameters(), lr=0.01)
    (module.train()(x) - 1).square().mean().backward()
    optimiser.step()
    assert all(not torch.equal(one, other) for one, other in zip(before, module.parameters(), strict=True))
    return module.eval()


def error(module: nn.Module, field: Field, group: str, *sides: int) -> float:
    """E, each volume at all elements: the deviation beside that of unrelated volumes."""
    x = torch.rand(3, 1, *sides, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    chosen = groups.load(group, {}).keeping(sides, ())
    on_input = actions.load(chosen, group, Volume(), {}, on=Volume())
    on_output = actions.load(chosen, group, field, {}, on=Volume())
    with torch.no_grad():
        y = module(x)
        moved = torch.stack([module(each) for each in on_input.act(chosen.elements(), x)])
        expected = on_output.act(chosen.elements(), y)
    return float((moved - expected).norm() / (expected - expected.roll(1, 1)).norm())


CLAIMS: list[tuple[str, dict[str, Any], tuple[int, ...], bool]] = [
    ("oh-cnn", {"stride": 1}, (6, 6, 6), True),
    ("oh-cnn", {"stride": 1}, (7, 7, 7), True),
    ("oh-cnn", {"stride": 1}, (5, 8, 8), True),
    ("oh-cnn", {}, (9, 9, 9), True),
    ("oh-cnn", {}, (5, 9, 9), True),
    ("oh-cnn", {}, (8, 8, 8), False),
    ("oh-cnn", {}, (7, 7, 7), False),  # 7, 4, 2: the second stride meets an even side
    ("oh-unet", {"depth": 0}, (6, 6, 6), True),
    ("oh-unet", {"depth": 1}, (7, 7, 7), True),
    ("oh-unet", {"depth": 2}, (9, 9, 5), True),
    ("oh-unet", {"depth": 1}, (8, 8, 8), False),
    ("oh-unet", {"depth": 2}, (7, 7, 7), False),
    ("cnn-3d", {}, (9, 9, 9), False),
    ("unet-3d", {"depth": 1}, (7, 7, 7), False),
    ("unet-3d", {"depth": 1}, (6, 8, 8), False),
]


@pytest.mark.parametrize(("name", "options", "sides", "exact"), CLAIMS, ids=str)
def test_what_is_claimed_is_exact_and_the_rest_is_not(
    name: str, options: dict[str, Any], sides: tuple[int, ...], exact: bool
) -> None:
    field = MAPS if "unet" in name else Category()
    found = error(built(name, *sides, **options), field, "Oh", *sides)
    assert found <= FLOOR if exact else found > 1e-3


def test_all_models_of_volumes_are_here() -> None:
    ours = {name for name, row in MODELS.rows.items() if row.module.startswith("symbench.domains.volumes.")}
    assert {name for name, *_ in CLAIMS} == ours


def test_kernels_are_their_own_average_over_the_symmetries_of_a_cube() -> None:
    conv = OhConv(2, 3, 1)
    act = actions.load(groups.load("Oh", {}), "Oh", Volume(), {}, on=Volume())
    kernel = conv.kernel().detach()
    assert torch.equal(act.act(signed(with_inversion=True), kernel), kernel.expand(48, *kernel.shape))
    free = torch.rand(2, 3, 3, 3, 3)
    mean = act.act(signed(with_inversion=True), free).mean(0)
    assert len(mean[0, 0].mul(1e5).round().unique()) == 4  # as many numbers as are learnt


@pytest.mark.parametrize("sides", [(6, 6, 6), (5, 6, 7)])
def test_averaging_over_flips_is_exact_under_mirrors(sides: tuple[int, int, int]) -> None:
    """Test-time averaging over the 8 flips, each undone on the maps: E is at the floor, and was far from it."""
    module = built("unet-3d", *sides, depth=1)

    def averaged(x: Tensor) -> Tensor:
        every = [(), (-1,), (-2,), (-3,), (-1, -2), (-1, -3), (-2, -3), (-1, -2, -3)]
        return torch.stack([module(x.flip(each)).flip(each) for each in every]).mean(0)

    assert error(module, MAPS, "mirrors", *sides) > 0.01
    assert error(averaged, MAPS, "mirrors", *sides) <= FLOOR  # type: ignore[arg-type]


def test_orbits_average_volumes_with_derivatives() -> None:
    """What wraps a model in an average moves volumes and their maps back."""
    module, group = built("unet-3d", 5, 5, 5, depth=1), groups.load("mirrors", {})
    on_input = actions.load(group, "mirrors", Volume(), {}, on=Volume())
    on_maps = actions.load(group, "mirrors", MAPS, {}, on=Volume())
    orbit = Orbit.of(group, {"volume": on_input}, "volume", lambda *_: on_maps, where="test")
    x = torch.rand(2, 1, 5, 5, 5, dtype=torch.float64, requires_grad=True)
    each = [orbit.back("masks", module(orbit.moved({"volume": x}, k)["volume"]), k, 5) for k in range(8)]
    mean = torch.stack(each).mean(0)
    flips = [(), (-1,), (-2,), (-3,), (-1, -2), (-1, -3), (-2, -3), (-1, -2, -3)]
    by_hand = torch.stack([module(x.flip(some)).flip(some) for some in flips]).mean(0)
    torch.testing.assert_close(mean, by_hand, rtol=0, atol=1e-12)
    assert torch.autograd.grad(mean.square().sum(), x)[0].abs().max() > 0
