"""Rigid motions: the group against affine matrices, the action against scipy, torchvision and closed forms."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import affine

from symbench.algebra import actions, groups
from symbench.algebra.actions.base import Action
from symbench.algebra.groups.base import choose
from symbench.base.errors import ConfigError
from symbench.domains.images.actions.border import disc_mask
from symbench.domains.images.actions.move import MoveImage
from symbench.domains.images.groups.rigid import SE2, wrapped
from symbench.face import testing
from symbench.fields import Image


def build(**options: Any) -> tuple[SE2, MoveImage]:
    group = groups.load("SE2", options)
    act = actions.load(group, "SE2", Image(), options, on=Image())
    assert isinstance(group, SE2)
    assert isinstance(act, MoveImage)
    return group, act


def element(angle: float, down: float, right: float) -> Tensor:
    return torch.tensor([[angle, down, right]], dtype=torch.float64)


def noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def blob(size: int, down: float, right: float, width: float = 2.5) -> Tensor:
    """A Gaussian about a place given from the midpoint, ``(1, 1, size, size)``."""
    place = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    square = (place[:, None] - down) ** 2 + (place[None, :] - right) ** 2
    return torch.exp(-square / (2 * width**2))[None, None]


def affine_matrix(angle: float, down: float, right: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """On (row, column, 1) about the midpoint. What lies to the right goes up: (0, 1) to (-sin, cos)."""
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return np.array([[c, -s, down], [s, c, right], [0.0, 0.0, 1.0]])


# The group.


def test_composition_and_inverse_are_those_of_affine_matrices(generator: torch.Generator) -> None:
    group, _ = build(angle=180.0, reach=5.0)
    g, h = group.sample(50, generator=generator), group.sample(50, generator=generator)
    for a, b, product, back in zip(g, h, group.compose(g, h), group.inverse(g), strict=True):
        first, second = affine_matrix(*a.tolist()), affine_matrix(*b.tolist())
        assert np.abs(affine_matrix(*product.tolist()) - first @ second).max() < 1e-12
        assert np.abs(affine_matrix(*back.tolist()) - np.linalg.inv(first)).max() < 1e-12
    assert not testing.same_elements(group, group.compose(g, h), group.compose(h, g)), "no abelian group"


def test_the_enumeration_is_the_published_grid() -> None:
    group, _ = build()
    listed = group.elements()
    side, around = np.linspace(-3, 3, 5), np.linspace(-30, 30, 31)
    expected = {tuple(np.round(e, 9) + 0.0) for e in itertools.product(around, side, side)}
    assert group.count == len(listed) == 775
    assert listed[0].tolist() == [0.0, 0.0, 0.0]
    assert {tuple(e) for e in group.canonical(listed).tolist()} == expected
    chosen = choose(group, None, generator=torch.Generator())
    assert (len(chosen), chosen.how) == (775, "enumeration")


def test_a_whole_circle_lists_no_angle_twice(generator: torch.Generator) -> None:
    group, _ = build(angle=180.0, angles=5, shifts=3)
    testing.check_group(group, generator=generator)
    assert {e[0] for e in group.elements().tolist()} == {-144.0, -72.0, 0.0, 72.0, 144.0}


def test_labels_parameters_and_sizes() -> None:
    group, _ = build()
    g = torch.cat([element(350.0, 3.0, -1.5), element(180.0, 0.0, 0.0), element(0.0, 0.0, 0.0)])
    assert group.labels(g) == ["-10°(+3,-1.5)px", "180°(0,0)px", "0°(0,0)px"]
    assert group.parameters(g)[0] == {"angle_deg": -10.0, "dy_px": 3.0, "dx_px": -1.5}
    assert group.size(g).tolist() == pytest.approx([math.sqrt(10**2 + 3**2 + 1.5**2), 180.0, 0.0])
    assert torch.allclose(group.size(group.inverse(g)), group.size(g))
    assert group.law == "uniform on turns of at most 30° and shifts of at most 3 px along either axis"
    assert wrapped(torch.tensor([-180.0, 540.0, 0.1]).double()).tolist() == [180.0, 180.0, pytest.approx(0.1)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shifts": 4}, r"got shifts 4, expected an odd number"),
        ({"angles": 2}, "angles.*greater than or equal to 3"),
        ({"angle": 181.0}, "angle.*less than or equal to 180"),
        ({"reach": 0.0}, "reach.*greater than 0"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        groups.load("SE2", options)


# The action.

OPTIONS: list[dict[str, Any]] = [
    {"interpolation": i, "border": b} for i in ("bilinear", "bicubic", "fourier") for b in ("zero", "circular")
]
OPTIONS += [{"interpolation": "bicubic", "border": "reflect"}, {"border": "fill", "fill": 0.25}, {"border": "disc"}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_law_whatever_the_interpolation_and_border(options: dict[str, Any], generator: torch.Generator) -> None:
    group, act = build(**options)
    x = act.prepare(torch.cat([blob(49, 2.0, 3.0, 3.0), blob(49, -4.0, 0.0, 3.0)]) + options.get("fill", 0.0))
    tolerance = 1e-5 if options.get("interpolation") == "fourier" else 0.03
    testing.check_action(act, group, x, generator=generator, tolerance=tolerance)


class ShiftsFirst(SE2):
    """Composes as if the shift came before the turn."""

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        return self.inverse(super().compose(self.inverse(g), self.inverse(h)))


def test_the_law_catches_the_wrong_order(generator: torch.Generator) -> None:
    act = build(interpolation="fourier")[1]
    with pytest.raises(AssertionError, match="differs from"):
        testing.check_action(
            act, ShiftsFirst(3.0, 5, 30.0, 31), blob(43, 2.0, 3.0), generator=generator, tolerance=0.03
        )


MOTIONS = [(20.0, 0.0, 0.0), (0.0, 1.5, -2.25), (-30.0, 2.0, 1.0), (25.0, -3.0, 0.5), (135.0, 1.0, -2.0)]


@pytest.mark.parametrize("size", [32, 33])
@pytest.mark.parametrize("motion", MOTIONS, ids=str)
def test_bilinear_motion_is_scipys(motion: tuple[float, float, float], size: int) -> None:
    """``affine_transform`` looks up: output place p shows the input at ``M p + offset``, the inverse motion."""
    _, act = build(angle=180.0)
    x = noise(1, 1, size, size) * disc_mask(size, size, 4.0)
    back = np.linalg.inv(affine_matrix(*motion))
    centre = np.full(2, (size - 1) / 2)
    offset = centre + back[:2, 2] - back[:2, :2] @ centre
    theirs = ndimage.affine_transform(x[0, 0].numpy(), back[:2, :2], offset, order=1, mode="grid-constant")
    assert np.abs(act.act(element(*motion), x)[0, 0, 0].numpy() - theirs).max() < 1e-9


@pytest.mark.parametrize("size", [32, 33])
@pytest.mark.parametrize("motion", MOTIONS, ids=str)
def test_bilinear_motion_is_torchvisions(motion: tuple[float, float, float], size: int) -> None:
    """``affine`` turns clockwise, about the centre, then translates by (right, down)."""
    _, act = build(angle=180.0)
    x = noise(1, 1, size, size) * disc_mask(size, size, 4.0)
    angle, down, right = motion
    theirs = affine(x, -angle, [right, down], 1.0, [0.0, 0.0], InterpolationMode.BILINEAR)
    assert float((act.act(element(*motion), x)[0] - theirs).abs().max()) < 1e-5


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "fourier"])
def test_the_turn_comes_before_the_shift(interpolation: str) -> None:
    """From 8 px right of the midpoint, a quarter turn leads to 8 px above it; then 3 px down."""
    _, act = build(interpolation=interpolation, angle=180.0)
    moved = act.act(element(90.0, 3.0, 0.0), blob(33, 0.0, 8.0, 1.5))[0]
    assert float((moved - blob(33, -5.0, 0.0, 1.5)).abs().max()) < 1e-4


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "fourier"])
def test_pure_turns_and_pure_shifts_are_those_of_the_other_actions(interpolation: str) -> None:
    options = {"interpolation": interpolation}
    others: list[Action] = [
        actions.load(groups.load(name, {}), name, Image(), options, on=Image()) for name in ("SO2", "R2")
    ]
    _, act = build(interpolation=interpolation)
    x = noise(2, 3, 21, 21)
    turn, slide = torch.tensor([17.0]).double(), torch.tensor([[0.5, -1.25]]).double()
    assert torch.allclose(act.act(element(17.0, 0.0, 0.0), x), others[0].act(turn, x), atol=1e-12)
    assert torch.allclose(act.act(element(0.0, 0.5, -1.25), x), others[1].act(slide, x), atol=1e-12)


@pytest.mark.parametrize("interpolation", ["bilinear", "fourier"])
@pytest.mark.parametrize("size", [8, 9])
def test_quarter_turns_are_bit_for_bit(interpolation: str, size: int) -> None:
    _, act = build(interpolation=interpolation)
    x = noise(4, 2, size, size).float()
    g = torch.cat([element(a, 0.0, 0.0) for a in (0.0, 90.0, -90.0, 180.0, 450.0)])
    assert act.kinds(g) == ["permutation"] * 5
    for turns, moved in zip((0, 1, 3, 2, 1), act.act(g, x), strict=True):
        assert torch.equal(moved, torch.rot90(x, turns, (-2, -1)))
    mixed = torch.stack(
        [element(90.0, 0.0, 0.0), element(7.0, 1.0, 0.0), element(90.0, 1.0, 0.0), element(0, 0, 0)], 1
    )
    each = act.act(mixed, x)[0]
    assert act.kinds(mixed[0]) == ["permutation", "resampled", "resampled", "permutation"]
    assert torch.equal(each[0], torch.rot90(x[0], 1, (-2, -1)))
    assert torch.equal(each[3], x[3])
    for i in (1, 2):
        assert torch.allclose(each[i], act.act(mixed[:, i], x)[0, i], atol=1e-6)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("angle", "reach"), [(10.0, 2.0), (45.0, 1.0), (180.0, 2.5)])
def test_the_margin_is_what_the_worst_element_needs(interpolation: str, angle: float, reach: float) -> None:
    _, probe = build(interpolation=interpolation, angle=angle, reach=reach)
    needed = math.ceil(probe.reach(41) - 1e-9)
    worst = element(min(angle, 45.0), -reach, reach)
    corners = torch.cat([worst * torch.tensor([a, b, c]) for a, b, c in itertools.product((1, -1), repeat=3)])
    seen = {}
    for margin in (needed, needed - 1):
        _, act = build(interpolation=interpolation, angle=angle, reach=reach, border="crop", margin=margin)
        ones = act.finish(act.act(corners, torch.ones(1, 1, 41, 41, dtype=torch.float64)))
        seen[margin] = (act.check((1, 41, 41)) is None, float((ones - 1).abs().max()) < 1e-9)
    assert seen == {needed: (True, True), needed - 1: (False, False)}


@pytest.mark.parametrize("reach", [3.0, 16.0])
def test_fourier_does_not_bring_round_what_leaves_the_frame(reach: float) -> None:
    """From the lower right corner an eighth turn leads to the right edge; 16 px further nothing may be seen."""
    _, act = build(interpolation="fourier", angle=180.0, reach=reach)
    moved = act.act(element(45.0, 0.0, reach), blob(33, 12.0, 12.0, 1.2))[0]
    assert float((moved - blob(33, 0.0, 12 * math.sqrt(2) + reach, 1.2)).abs().max()) < 0.02


# The reference action.


def test_the_reference_is_the_motion_itself_by_either_route() -> None:
    _, act = build(angle=180.0)
    x = blob(33, 3.0, -2.0)
    for motion in MOTIONS:
        g, turn = element(*motion), affine_matrix(*motion)
        down, right, _ = turn @ np.array([3.0, -2.0, 1.0])
        for steps in (1, 2, 3):
            moved = act.reference(g, steps=steps)(x)[0]
            assert float((moved - blob(33, float(down), float(right))).abs().max()) < 1e-3, (motion, steps)
    g = torch.cat([element(*motion) for motion in MOTIONS])
    each = act.reference(g[:, None].expand(5, 2, 3))(x.expand(2, 1, 33, 33))
    assert torch.allclose(each, act.reference(g)(x.expand(2, 1, 33, 33)), atol=1e-12)


@pytest.mark.parametrize("fill", [0.0, 0.5])
def test_generators_are_the_slopes_of_their_flows(fill: float) -> None:
    _, act = build(border="fill" if fill else "zero", fill=fill)
    x, t = blob(33, 3.0, -2.0) + fill, 1e-4
    units = {"rotation": element(math.degrees(1.0), 0, 0), "down": element(0, 1, 0), "right": element(0, 0, 1)}
    assert set(act.generators()) == set(units)
    for name, generator in act.generators().items():
        slope = (generator.flow(x, t) - generator.flow(x, -t)) / (2 * t)
        assert float((slope - generator.derivative(x)).abs().max()) < 1e-6
        assert torch.allclose(generator.flow(x, 0.3), act.reference(0.3 * units[name])(x)[0], atol=1e-12)
