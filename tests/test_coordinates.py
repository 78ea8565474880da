"""What is told in pixels of a frame moves as the pixels do: boxes, named points, flow, maps of classes."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from symbench.algebra import actions, groups
from symbench.algebra.actions import ACTIONS
from symbench.algebra.actions.base import Action
from symbench.algebra.fields import Boxes, Category, Field, Flow, Grid, Keypoints, Logits, Scalar, classes
from symbench.algebra.groups.base import Group
from symbench.base.errors import ConfigError
from symbench.testing import assert_equivariant

IMAGE = Scalar().over(Grid("image"))
MAPS = Category(3).over(Grid("image"))
SIDE = 13
NONE = [0.0, 0.0, 0.0, 0.0, 0.0, -1.0]


def acting(name: str, field: Field, frame: tuple[int, int] = (SIDE, SIDE), **options: Any) -> tuple[Group, Action]:
    known = {key: value for key, value in options.items() if key in {"reach", "reach_deg"}}
    group = groups.load(name, known)
    return group, actions.load(group, name, field.framed((1, *frame)), options, on=IMAGE)


def drawn(boxes: Tensor, height: int, width: int) -> Tensor:
    """Boxes ``(most, 6)`` as a map of their classes; where nothing is, 0."""
    found = torch.zeros(height, width, dtype=torch.int64)
    for left, top, right, bottom, _, kind in boxes.tolist():
        if kind >= 0:
            found[round(top) : round(bottom), round(left) : round(right)] = round(kind)
    return found


def some_boxes(count: int, height: int, width: int) -> Tensor:
    """One box in each sample, between two rows that are no object."""
    found = torch.tensor([[NONE] * 3] * count, dtype=torch.float64)
    random = torch.Generator().manual_seed(3)
    for sample in range(count):
        left, right = sorted(torch.randperm(width + 1, generator=random)[:2].tolist())
        top, bottom = sorted(torch.randperm(height + 1, generator=random)[:2].tolist())
        found[sample, 0] = torch.tensor([left, top, right, bottom, 0.75, 2])
    return found


@pytest.mark.parametrize(
    ("name", "frame", "options"),
    [
        ("D4", (SIDE, SIDE), {"border": "zero"}),
        ("D4", (12, 12), {"border": "zero"}),
        ("D2", (7, 12), {"border": "zero"}),
        ("translations", (SIDE, 10), {"border": "zero", "reach": 4}),
        ("translations", (SIDE, 10), {"border": "reflect", "reach": 4}),
    ],
)
def test_a_box_that_is_drawn_turns_as_the_drawing_does(
    name: str, frame: tuple[int, int], options: dict[str, Any]
) -> None:
    group, boxes = acting(name, Boxes(), frame, **options)
    _, maps = acting(name, MAPS, frame, **options)
    x = some_boxes(6, *frame)
    g = group.elements()
    moved = boxes.act(g, x)
    there = maps.act(g, torch.stack([drawn(each, *frame) for each in x]))
    assert boxes.check((3, 6)) is None
    for k in range(len(g)):
        for sample in range(len(x)):
            assert torch.equal(drawn(moved[k, sample], *frame), there[k, sample].clamp(min=0))
    assert (moved[..., 0, 4] == 0.75)[moved[..., 0, 5] >= 0].all()
    assert (there[0] >= 0).all()
    assert bool((there == -1).any()) == (name == "translations")


@pytest.mark.parametrize("field", [Boxes(), Keypoints(pairs=((0, 1),)), Keypoints(origin="centre")])
def test_moving_by_g_and_h_is_moving_by_their_product(field: Field) -> None:
    group, action = acting("D4", field, border="zero")
    x = some_boxes(5, SIDE, SIDE) if isinstance(field, Boxes) else torch.rand(5, 3, 3).double() * SIDE
    g, h = (each.flatten(0, 1) for each in torch.broadcast_tensors(group.elements()[:, None], group.elements()[None]))
    assert len(g) == 64
    for one, other in zip(g, h, strict=True):
        both = action.act(group.compose(one[None], other[None]), x)
        assert torch.equal(action.act(one[None], action.act(other[None], x)[0]), both) or torch.allclose(
            action.act(one[None], action.act(other[None], x)[0]), both, atol=1e-12
        )


def test_points_are_where_their_pixels_are() -> None:
    for name, options in (("D4", {"border": "zero"}), ("translations", {"border": "circular", "reach": 3})):
        group, points = acting(name, Keypoints(origin="centre"), **options)
        _, pixels = acting(name, IMAGE, **options)
        g = group.elements()
        for row, column in ((0, 0), (2, 9), (12, 5)):
            image = torch.zeros(1, 1, SIDE, SIDE)
            image[0, 0, row, column] = 1
            where = points.act(g, torch.tensor([[[float(column), float(row)]]]))[:, 0, 0]
            lit = pixels.act(g, image)[:, 0, 0].nonzero()[:, 1:].flip(-1)
            assert torch.equal(where, lit.float())


def test_a_mirror_exchanges_left_and_right_and_half_a_pixel_counts() -> None:
    group, action = acting("D1", Keypoints(pairs=((0, 1),)), border="zero")
    wrists = torch.tensor([[[3.0, 1.0, 1.0], [9.0, 2.0, 0.0], [6.5, 6.5, 1.0]]])
    mirrored = action.act(group.elements(), wrists)[1, 0]
    assert mirrored.tolist() == [[4.0, 2.0, 0.0], [10.0, 1.0, 1.0], [6.5, 6.5, 1.0]]
    other = acting("D1", Keypoints(pairs=((0, 1),), origin="centre"), border="zero")[1]
    assert other.act(group.elements(), wrists)[1, 0, 2].tolist() == [5.5, 6.5, 1.0]


def test_a_point_that_leaves_the_frame_is_not_visible() -> None:
    group, action = acting("translations", Keypoints(), border="zero", reach=4)
    g = torch.tensor([[0, 4]], dtype=group.identity().dtype)
    moved = action.act(g, torch.tensor([[[11.0, 1.0, 1.0], [2.0, 1.0, 1.0]]]))[0, 0]
    assert moved.tolist() == [[15.0, 1.0, 0.0], [6.0, 1.0, 1.0]]
    wrapped = acting("translations", Keypoints(), border="circular", reach=4)[1]
    assert wrapped.act(g, torch.tensor([[[11.0, 1.0, 1.0]]]))[0, 0, 0].tolist() == [2.0, 1.0, 1.0]


@pytest.mark.parametrize("name", ["SO2", "C8", "SE2", "scalings"])
def test_a_flow_leads_to_where_points_move(name: str) -> None:
    """A point and the place that its flow leads to, both moved, differ by the moved flow."""
    options: dict[str, Any] = {
        "border": "zero",
        **({"reach": 1.5} if name == "scalings" else {"reach": 2.0} if name == "SE2" else {}),
    }
    group, points = acting(name, Keypoints(), **options)
    _, flows = acting(name, Flow().over(Grid("image")), **options)
    g = group.sample(7, generator=torch.Generator().manual_seed(1))
    start, flow = torch.rand(4, 1, 2).double() * SIDE, torch.rand(4, 1, 2).double()
    part = next(action for part, action in flows.parts if part.number is None)  # type: ignore[attr-defined]
    moved = part.act(g, flow)
    there = points.act(g, start + flow) - points.act(g, start)
    torch.testing.assert_close(moved, there, atol=1e-12, rtol=0)


def test_oblique_turns_of_boxes_are_refused_or_give_the_box_about_them() -> None:
    _, action = acting("C8", Boxes(), border="zero")
    assert "hull: true" in str(action.check((3, 6)))
    assert "polygons" in str(acting("SO2", Boxes(), border="zero")[1].check((3, 6)))
    group, hull = acting("C8", Boxes(hull=True), border="zero")
    assert hull.check((3, 6)) is None
    box = torch.tensor([[[4.5, 4.5, 8.5, 8.5, 1.0, 0.0]]], dtype=torch.float64)
    turned = hull.act(group.elements()[1:2], box)[0, 0, 0]
    half = 2 * 2**0.5  # of the diagonal of a square of 4
    torch.testing.assert_close(turned[:4], torch.tensor([6.5 - half, 6.5 - half, 6.5 + half, 6.5 + half]).double())
    assert "larger" in str(hull.remark)
    assert acting("C4", Boxes(hull=True), border="zero")[1].remark is None
    assert hull.kinds(group.elements())[:3] == ["permutation", "lossy", "permutation"]


def test_boxes_that_would_come_in_on_the_other_side_are_refused() -> None:
    _, action = acting("translations", Boxes(), border="circular", reach=2)
    assert "border: zero" in str(action.check((3, 6)))
    assert "frame=(height, width)" in str(
        actions.load(groups.load("D4", {}), "D4", Boxes(), {}, on=IMAGE).check((3, 6))
    )


def test_maps_of_classes_turn_without_a_mean_of_classes() -> None:
    group, action = acting("SO2", MAPS, border="zero")
    labels = torch.zeros(1, SIDE, SIDE, dtype=torch.int64)
    labels[:, :, SIDE // 2 :] = 2  # between 0 and 2 there is no 1
    g = group.sample(9, generator=torch.Generator().manual_seed(2))
    turned = action.act(g, labels)
    assert set(turned.unique().tolist()) == {-1, 0, 2}
    inside = action.inside(g, labels)
    assert inside is not None
    assert torch.equal(turned[:, 0] >= 0, inside)
    assert not inside[:, 0, 0].all()
    assert inside[:, SIDE // 2, SIDE // 2].all()


def test_places_that_are_ignored_move_with_the_rest() -> None:
    group, action = acting("D4", MAPS, border="zero")
    labels = torch.randint(-1, 3, (2, SIDE, SIDE), generator=torch.Generator().manual_seed(4))
    moved = action.act(group.elements(), labels)
    for k, g in enumerate(group.elements()):
        back = action.act(group.inverse(g[None]), moved[k])[0]
        assert torch.equal(back, labels)
        assert (moved[k] == -1).sum() == (labels == -1).sum()
    assert torch.equal(moved[1], labels.rot90(1, (-2, -1)))
    assert action.inside(group.elements(), labels) is None


def test_classes_of_places_are_renamed_where_they_come_to_stand() -> None:
    swapped = classes({"flip": [0, 2, 1]}).over(Grid("image"))
    group, action = acting("D1", swapped, border="zero")
    labels = torch.randint(-1, 3, (2, SIDE, SIDE), generator=torch.Generator().manual_seed(5))
    mirrored = action.act(group.elements(), labels)[1]
    renamed = torch.tensor([0, 2, 1, -1])[labels]  # -1 takes the last
    assert torch.equal(mirrored, renamed.flip(-1))
    logits = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(6))
    assert torch.equal(action.act(group.elements(), logits)[1], logits[:, [0, 2, 1]].flip(-1))


def test_layers_are_tested_on_maps_points_and_flow_and_sets_are_not() -> None:
    x = torch.rand(3, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(7))
    scores = Logits().over(Grid("image"))
    pixelwise = nn.Conv2d(1, 2, 1)
    for group, options in (("D4", {}), ("translations", {"reach": 2, "border": "zero"})):
        assert_equivariant(
            pixelwise, group, x, outputs=scores, options=options, tolerance=1e-9, gradients=not options
        )
    crop = {"reach": 1, "border": "crop", "margin": 2}
    assert_equivariant(pixelwise, "translations", x, outputs=scores, options=crop, tolerance=1e-9, gradients=False)
    with pytest.raises(AssertionError, match="most of it at"):
        assert_equivariant(nn.Conv2d(1, 2, 3, padding=1), "D4", x, outputs=scores)

    def brightest(image: Tensor) -> Tensor:
        place = image.flatten(1).argmax(1)
        return torch.stack([place % SIDE + 0.5, place // SIDE + 0.5], dim=-1).to(image.dtype)[:, None]

    assert_equivariant(brightest, "D4", x, outputs=Keypoints())
    with pytest.raises(AssertionError, match="f\\(g.x\\)"):
        assert_equivariant(brightest, "D4", x, outputs=Keypoints(origin="centre"))
    with pytest.raises(ConfigError, match="a set in any order"):
        assert_equivariant(lambda image: image.new_zeros(len(image), 2, 6), "D4", x, outputs=Boxes())


@pytest.mark.parametrize("field", [Boxes(), Keypoints(origin="centre"), MAPS])
def test_quarter_turns_make_a_rectangle_of_a_rectangle(field: Field) -> None:
    """Four of them are none; a box that is drawn, and a point on its pixel, stay what they are."""
    group, action = acting("C4", field, (6, 10), border="zero")
    quarter, back = group.elements()[1:2], group.elements()[3:4]
    turned = acting("C4", field, (10, 6), border="zero")[1]
    if isinstance(field, Boxes):
        x: Tensor = some_boxes(4, 6, 10)
        drawings = torch.stack([drawn(each, 6, 10) for each in x])
        there = torch.stack([drawn(each, 10, 6) for each in action.act(quarter, x)[0]])
        assert torch.equal(there, drawings.rot90(1, (-2, -1)))
    elif isinstance(field, Keypoints):
        x = torch.tensor([[[9.0, 0.0], [3.0, 5.0]]])
        assert action.act(quarter, x)[0, 0].tolist() == [[0.0, 0.0], [5.0, 6.0]]
    else:
        x = torch.randint(-1, 3, (2, 6, 10), generator=torch.Generator().manual_seed(8))
        assert torch.equal(action.act(quarter, x)[0], x.rot90(1, (-2, -1)))
    assert torch.equal(turned.act(back, action.act(quarter, x)[0])[0], x)
    oblique = acting("C8", field, (6, 10), border="zero", hull=True)[1]
    assert "square" in str(oblique.check((6, 10) if field is MAPS else tuple(x.shape[1:])))


FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "plane": ("D4", {}),
    "translations": ("translations", {"reach": 2}),
    "slides": ("R2", {"reach": 1.0}),
    "rigid": ("SE2", {"reach": 1.0}),
    "scalings": ("scalings", {"reach": 1.5}),
    "plane x scalings": ("D4 x scalings", {"reach": 1.5}),
}
IN_PIXELS = {"Boxes": Boxes(), "Keypoints": Keypoints(pairs=((0, 2),)), "Flow": Flow().over(Grid("image"))}
ROWS = sorted((row.family, row.kind) for row in ACTIONS.rows.values() if row.kind in IN_PIXELS)


@pytest.mark.parametrize(("family", "kind"), ROWS)
def test_every_family_acts_on_what_is_told_in_pixels(family: str, kind: str) -> None:
    """``g.(h.x) = (g h).x`` in the middle of the frame, from which nothing leaves."""
    name, options = FAMILIES[family]
    assert family == actions.family(name)
    group, action = acting(name, IN_PIXELS[kind], border="zero", **options)
    random = torch.Generator().manual_seed(11)
    if kind == "Boxes" and family == "rigid":
        assert "hull" in str(action.check((3, 6)))
        return
    g, h = group.sample(6, generator=random), group.sample(6, generator=random)
    middle = 5.5 + 2 * torch.rand(2, 3, 2, dtype=torch.float64, generator=random)
    if kind == "Boxes":
        beside = torch.ones(2, 3, 2, dtype=torch.float64)
        x = torch.cat([middle, middle + 0.5, beside], dim=-1)
    elif kind == "Keypoints":
        x = middle
    else:
        x = torch.randn(2, 2, 4, 4, dtype=torch.float64, generator=random)
        (action,) = (each for part, each in action.parts if part.number is None)  # type: ignore[attr-defined]
        x = x.flatten(2).mT
    for one, other in zip(g, h, strict=True):
        twice = action.act(one[None], action.act(other[None], x)[0])
        torch.testing.assert_close(twice, action.act(group.compose(one[None], other[None]), x), atol=1e-9, rtol=0)
    assert not all(torch.equal(each, x) for each in action.act(g, x))


def test_boxes_and_points_are_told_from_the_corner_of_what_is_left_of_a_crop() -> None:
    options: dict[str, Any] = {"border": "crop", "margin": 3, "reach": 3}
    group, boxes = acting("translations", Boxes(), **options)
    _, maps = acting("translations", MAPS, **options)
    x, g = some_boxes(6, SIDE, SIDE), group.elements()
    moved = boxes.act(g, x).flatten(0, 1)
    there = maps.act(g, torch.stack([drawn(each, SIDE, SIDE) for each in x])).flatten(0, 1)
    seen, labels = boxes.cropped(moved), maps.cropped(there)
    for box, label in zip(seen, labels, strict=True):
        assert torch.equal(drawn(box, SIDE - 6, SIDE - 6), label.clamp(min=0))
    points = acting("translations", Keypoints(), **options)[1]
    assert points.cropped(torch.tensor([[[4.0, 3.5, 1.0], [2.0, 5.0, 1.0]]])).tolist() == [
        [[1.0, 0.5, 1.0], [-1.0, 2.0, 0.0]]
    ]
    output = boxes.of_outputs().act(g[:1] * 0 + torch.tensor([[0, 2]]), torch.tensor([[[5.0, 1, 7, 3, 1, 0]]]))
    assert output[0, 0, 0, 5] == -1  # beyond the frame of what is seen, 7 wide


def test_boxes_of_a_model_are_cut_off_where_the_moved_ones_are() -> None:
    """A box that a model puts beyond the frame, the same before and after, deviates by what left the frame alone."""
    group, action = acting("translations", Boxes(), border="zero", reach=4)
    g = torch.tensor([[0, 3]], dtype=group.identity().dtype)
    before = torch.tensor([[[9.0, 2.0, 15.0, 6.0, 1.0, 0.0]]], dtype=torch.float64)  # 2 px beyond 13
    after = before + torch.tensor([3.0, 0, 3, 0, 0, 0], dtype=torch.float64)
    assert torch.equal(action.held(g, after[None]), action.act(g, before))
    assert action.act(g, before)[0, 0, 0].tolist() == [12.0, 2.0, 13.0, 6.0, 1.0, 0.0]
    turned, quarter = acting("C4", Boxes(), border="zero")
    assert torch.equal(quarter.held(turned.elements()[1:2], after[None]), after[None])  # nothing can leave it
