"""Turns, mirrors and reduced groups of volumes, against torch's own flips, loops over places, and brute force."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from symbench.algebra import actions, groups
from symbench.algebra.actions.base import Action
from symbench.algebra.fields import Field, classes
from symbench.algebra.groups.base import Group
from symbench.algebra.groups.keeping import keeping_grids
from symbench.base.errors import ConfigError, ImpossiblePair
from symbench.base.registry import checked_options
from symbench.domains.common.datasets import DATASETS
from symbench.domains.points.groups.finite import Part
from symbench.domains.points.groups.rotations import signed
from symbench.domains.points.groups.space import EYE
from symbench.domains.volumes.fields import labels_of
from symbench.face.testing import assert_equivariant
from symbench.fields import Axis, Grid, Image, Logits, Vector, Volume

EVERY = signed(with_inversion=True)
SWAP = {"mirror-x": [0, 2, 1]}


def build(name: str, field: Field, shape: Sequence[int] = (), **options: object) -> tuple[Group, Action]:
    """A group, reduced to what keeps a grid of this shape, and its action."""
    group = groups.load(name, options)
    group = keeping_grids(group, {"volume": field}, {"volume": tuple(shape)})[0] if shape else group
    return group, actions.load(group, name, field, options, on=field)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def by_loop(x: Tensor, matrix: Tensor) -> Tensor:
    """``(g.x)(g p) = x(p)`` place by place, with p in right-handed coordinates from the middle."""
    d, h, w = x.shape[-3:]
    middle = np.array([(w - 1) / 2, (h - 1) / 2, (d - 1) / 2])
    found = torch.full_like(x, float("nan"))
    for z, y, x_ in itertools.product(range(d), range(h), range(w)):
        place = np.array([x_, h - 1 - y, z]) - middle  # y is upwards, rows are counted downwards
        to = (matrix.numpy() @ place + middle).round().astype(int)
        found[..., to[2], h - 1 - to[1], to[0]] = x[..., z, y, x_]
    return found


# Moving.


@pytest.mark.parametrize("side", [4, 5])
def test_all_symmetries_of_a_cube_move_places_as_a_loop_does(side: int) -> None:
    group, act = build("Oh", Volume())
    x = draw(2, 3, side, side, side)
    for element, moved in zip(group.elements(), act.act(group.elements(), x), strict=True):
        assert torch.equal(moved, by_loop(x, element))


def test_turns_about_z_and_mirrors_are_those_of_torch() -> None:
    _, act = build("Oh", Volume())
    x = draw(1, 1, 3, 4, 4)
    quarter = torch.tensor([[[0, -1, 0], [1, 0, 0], [0, 0, 1]]], dtype=torch.float64)
    assert torch.equal(act.act(quarter, x)[0], torch.rot90(x, 1, (-2, -1)))  # counter-clockwise as displayed
    for axis, dimension in ((0, -1), (1, -2), (2, -3)):
        mirror = torch.diag(torch.where(torch.arange(3) == axis, -1.0, 1.0).double())[None]
        assert torch.equal(act.act(mirror, x)[0], x.flip(dimension))


def test_slices_move_as_images_do() -> None:
    """The turn about z of every slice is what the plane's C4 does."""
    plane, on_plane = build("C4", Image())
    _, act = build("O", Volume())
    x = draw(2, 1, 5, 6, 6)
    turn = torch.tensor([[[0, -1, 0], [1, 0, 0], [0, 0, 1]]], dtype=torch.float64)
    slices = on_plane.act(plane.elements()[1:2], x[:, 0])[0]
    assert torch.equal(act.act(turn, x)[0, :, 0], slices)


@pytest.mark.parametrize("name", ["O", "Oh"])
def test_moving_twice_is_moving_by_the_product(name: str) -> None:
    group, act = build(name, Volume())
    x = draw(1, 1, 3, 3, 3)
    every = group.elements()
    others = 0
    for g, h in itertools.product(every.split(1), every.split(1)):
        gh, hg = group.compose(g, h), group.compose(h, g)
        assert torch.equal(act.act(g, act.act(h, x)[0])[0], act.act(gh, x)[0])
        if not torch.equal(gh, hg):
            others += 1
            assert not torch.equal(act.act(g, act.act(h, x)[0])[0], act.act(hg, x)[0])
    assert others > len(every)  # most pairs do not commute


def test_each_sample_may_have_its_own_element() -> None:
    group, act = build("Oh", Volume())
    x = draw(4, 2, 3, 3, 3)
    own = group.elements()[torch.randint(48, (3, 4), generator=torch.Generator().manual_seed(0))]
    moved = act.act(own, x)
    for k, n in itertools.product(range(3), range(4)):
        assert torch.equal(moved[k, n], act.act(own[k, n : n + 1], x[n : n + 1])[0, 0])


def test_vectors_on_a_volume_move_with_its_grid() -> None:
    """The gradient of a moved volume is the moved gradient, with x along w, y against h and z along d."""
    field = Vector().over(Grid("volume", 3))
    group, act = build("Oh", Volume())
    vectors = actions.load(group, "Oh", field, {}, on=Volume())
    x = draw(2, 1, 6, 6, 6).double()

    def gradient(volume: Tensor) -> Tensor:
        along_d, along_h, along_w = torch.gradient(volume[:, 0], dim=(1, 2, 3))
        return torch.stack([along_w, -along_h, along_d], dim=1)

    moved = vectors.act(group.elements(), gradient(x))
    for element, volume in zip(moved, act.act(group.elements(), x), strict=True):
        torch.testing.assert_close(gradient(volume), element, rtol=0, atol=1e-12)
    wrong = gradient(x).flip(1)  # (z, y, x) for (x, y, z)
    off = [gradient(act.act(g, x)[0]).flip(1) - vectors.act(g, wrong)[0] for g in group.elements().split(1)]
    assert sum(float(each.abs().max()) > 0.1 for each in off) >= 24


def test_frames_of_volumes_move_one_by_one() -> None:
    field = Volume().over(Axis("frames"))
    group, act = build("O", field)
    _, single = build("O", Volume())
    x = draw(2, 3, 1, 4, 4, 4)
    moved = act.act(group.elements(), x)
    for frame in range(3):
        assert torch.equal(moved[:, :, frame], single.act(group.elements(), x[:, frame]))


# Groups that keep the grid.

SHAPES = [*itertools.product((4, 5, 6), repeat=3)]
NAMES = {
    ("O", 24): "O", ("O", 8): "D4", ("O", 4): "D2", ("Oh", 48): "Oh", ("Oh", 16): "D4h", ("Oh", 8): "D2h",
}  # fmt: skip
SPACINGS = [(), (1.0, 1.0, 1.0), (5.0, 1.0, 1.0), (1.0, 1.0, 2.0), (1.0, 2.0, 3.0)]


def keeps(matrix: Tensor, shape: Sequence[int], spacing: Sequence[float]) -> bool:
    """Whether corners of the grid, as points in space, are corners of the grid again."""
    d, h, w = (n * gap for n, gap in zip(shape, spacing or (1, 1, 1), strict=True))
    extent, steps = np.array([w, h, d]), np.array((spacing or (1, 1, 1))[::-1], dtype=float)
    return bool(
        np.array_equal(np.abs(matrix.numpy()) @ extent, extent)
        and np.array_equal(np.abs(matrix.numpy()) @ steps, steps)
    )


@pytest.mark.parametrize("spacing", SPACINGS, ids=str)
def test_the_group_is_reduced_to_all_that_keeps_the_grid(spacing: tuple[float, ...]) -> None:
    for shape in SHAPES:
        for name, listed in (("Oh", EVERY), ("O", signed(with_inversion=False))):
            group = groups.load(name, {}).keeping(shape, spacing)
            wanted = {tuple(m.flatten().tolist()) for m in listed if keeps(m, shape, spacing)}
            assert {tuple(m.flatten().tolist()) for m in group.elements()} == wanted
            assert torch.equal(group.elements()[0], EYE)
            assert group.count == len(wanted)
            assert group.name == NAMES[name, len(wanted)]
            assert generated(group) == wanted


def generated(group: Group) -> set[tuple[float, ...]]:
    """All products of the named generators."""
    found = {tuple(EYE.flatten().tolist())}
    waiting = [EYE]
    while waiting:
        g = waiting.pop()
        for generator in group.generating().values():
            further = generator[0] @ g + 0.0
            if tuple(further.flatten().tolist()) not in found:
                found.add(tuple(further.flatten().tolist()))
                waiting.append(further)
    return found


def test_reduced_groups_have_pieces_where_the_whole_has() -> None:
    d4h, d4 = (groups.load(name, {}).keeping((4, 6, 6), ()) for name in ("Oh", "O"))
    assert (d4h.strata(d4h.elements()) or []).count("improper") == 8
    assert d4.strata(d4.elements()) is None
    assert len(d4h.subgroups()[0]) == 16


def test_what_is_reduced_is_said() -> None:
    fields, shapes = {"volume": Volume((5.0, 1.0, 1.0))}, {"volume": (1, 6, 6, 6)}
    group, said = keeping_grids(groups.load("Oh", {}), fields, shapes)
    assert said == (
        "D4h stands for Oh: its 16 elements that map 6 x 6 x 6 places at distances 5 x 1 x 1 to themselves"
    )
    assert group.name == "D4h"
    assert keeping_grids(groups.load("O", {}), {"volume": Volume()}, shapes)[1] is None
    two = {"volume": Volume(), "other": Volume()}
    group, _ = keeping_grids(groups.load("Oh", {}), two, {"volume": (1, 6, 6, 4), "other": (1, 4, 6, 6)})
    assert group.count == 8  # what keeps both


def test_products_are_reduced_by_their_factors() -> None:
    group = groups.load("O x S3", {}).keeping((3, 3, 5), ())
    assert group.count == 8 * 6
    assert len(group.elements()) == 48


def test_nothing_but_the_identity_is_refused() -> None:
    exchange = EYE[[1, 0, 2]]
    group = Part("exchanges", torch.stack([EYE, exchange]), {"exchange": exchange[None]})
    with pytest.raises(ImpossiblePair, match="no element of exchanges but the identity maps 4 x 5 x 6 places"):
        keeping_grids(group, {"volume": Volume()}, {"volume": (1, 4, 5, 6)})


@pytest.mark.parametrize(
    ("name", "field", "shape", "reason"),
    [
        ("Oh", Image(), (1, 9, 9), "Oh moves space, and the 2-D grid 'image' is none: images are moved by D4 and C4"),
        ("SO3", Volume(), (1, 4, 4, 4), "SO3 has elements that map no grid to itself: use O, Oh or mirrors"),
        ("I", Volume(), (1, 4, 4, 4), "I has elements that map no grid to itself"),
        ("O", Volume(), (4, 4), r"a volume has shape \(c, d, h, w\), got \(4, 4\)"),
        ("O", Volume(), (1, 4, 4, 5), "O exchanges axes that are not alike: 4 places at a distance of 1, 5 places"),
        ("O", Volume((2.0, 1.0, 1.0)), (1, 4, 4, 4), "4 places at a distance of 2"),
        ("C4", Volume(), (1, 4, 4, 4), "an image has shape .*: volumes are moved by O, Oh and mirrors"),
    ],
)
def test_what_cannot_be_moved_is_said(name: str, field: Field, shape: tuple[int, ...], reason: str) -> None:
    said = build(name, field)[1].check(shape)
    assert said is not None
    assert re.search(reason, said), said


# Mirrors, and classes that they exchange.


@pytest.mark.parametrize("axes", ["x", "y", "z", "xz", "xyz"])
def test_mirrors_are_flips(axes: str) -> None:
    group, act = build("mirrors", Volume(), (1, 3, 4, 5), axes=axes)
    x = draw(2, 1, 3, 4, 5)
    dimensions = {"x": -1, "y": -2, "z": -3}
    moved = dict(zip(group.labels(group.elements()), act.act(group.elements(), x), strict=True))
    assert len(moved) == 2 ** len(axes) == group.count
    for count in range(1, len(axes) + 1):
        for some in itertools.combinations(axes, count):
            assert torch.equal(moved[f"mirror {' and '.join(some)}"], x.flip([dimensions[each] for each in some]))


@pytest.mark.parametrize("axes", ["", "a", "zx", "xx"])
def test_axes_of_mirrors_are_checked(axes: str) -> None:
    with pytest.raises(ConfigError, match="some of the axes x, y and z in this order"):
        groups.load("mirrors", {"axes": axes})


def test_left_and_right_are_exchanged_by_the_mirror_of_their_axis() -> None:
    """Scores of background, left and right over a volume, and label maps."""
    values = {**SWAP, "mirror-z": [0, 1, 2]}
    field = classes(values).over(Grid("volume", 3))
    group, _ = build("mirrors", Volume(), axes="xz")
    act = actions.load(group, "mirrors", field, {"axes": "xz"}, on=Volume())
    x = draw(2, 3, 4, 5, 6)
    moved = dict(zip(group.labels(group.elements()), act.act(group.elements(), x), strict=True))
    assert torch.equal(moved["mirror z"], x.flip(-3))
    assert torch.equal(moved["mirror x"], x[:, [0, 2, 1]].flip(-1))
    assert torch.equal(moved["mirror x and z"], x[:, [0, 2, 1]].flip((-1, -3)))


@pytest.mark.parametrize("swapped", [True, False], ids=["with a swap", "without it"])
def test_a_symmetric_volume_is_right_with_the_swap_and_wrong_on_both_sides_without_it(swapped: bool) -> None:
    """The label map of a mirror-symmetric volume, moved by the mirror, against itself: Dice 1, or 0 on both classes."""
    options = {"samples": 4, "label": "sides", "symmetric": True, **({"mirrors": "x"} if swapped else {})}
    row = DATASETS.row("organs")
    data = row.load()(**checked_options(row.options, options, "data").model_dump())
    maps, volumes = data.batch(range(4)).targets["label"], data.batch(range(4)).leaves["volume"]
    group, on_volume = build("mirrors", Volume(), axes="x")
    act = actions.load(group, "mirrors", data.targets["label"], {"axes": "x"}, on=Volume())
    mirror = group.elements()[1:]
    assert torch.equal(on_volume.act(mirror, volumes)[0], volumes)
    moved = act.act(mirror, maps)[0]
    for side in (1, 2):
        both = ((moved == side) & (maps == side)).sum()
        dice = 2 * both / ((moved == side).sum() + (maps == side).sum())
        assert dice == (1.0 if swapped else 0.0)
    assert torch.equal(moved == 0, maps == 0)


def test_places_without_a_class_keep_none_when_they_are_mirrored() -> None:
    field = classes(SWAP).over(Grid("volume", 3))
    group, _ = build("mirrors", Volume(), axes="x")
    maps = torch.tensor([-1, 0, 1, 2]).view(1, 1, 1, 4)
    act = actions.load(group, "mirrors", field, {"axes": "x"}, on=Volume())
    assert act.act(group.elements()[1:], maps).flatten().tolist() == [1, 2, 0, -1]


# Networks.


def test_assert_equivariant_takes_volumes() -> None:
    smooth = torch.nn.AvgPool3d(3, stride=1, padding=1)
    x = draw(2, 1, 4, 4, 6)
    assert_equivariant(smooth, "Oh", x, {"maps": Volume()})  # by D4h
    with pytest.raises(AssertionError, match="not equivariant under mirrors"):
        assert_equivariant(lambda v: v.cumsum(-1), "mirrors", x, {"maps": Volume()}, options={"axes": "x"})


def test_label_maps_and_scores_share_the_places_of_their_volume() -> None:
    assert labels_of(3).key == "Category over 3-D Grid" != Image().key
    assert Logits().over(Grid("volume", 3)).axes == Volume().axes
